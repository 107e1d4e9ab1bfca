"""The fold of a projection: pure. Which rows a page of events touches, and what becomes of them.

`FoldRules` reads the handlers and finds what is wrong with them; `Fold` applies them with a catalogue of events.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from types import NoneType
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_origin

from diptych.log import EventCatalogue, Recorded, RecordedEvent, StoredEvent
from diptych.messages import Event, View
from diptych.messages.signature import Signature, is_message, options, place, read_signature
from diptych.read.projection import Projection, ProjectionHandler
from diptych.read.shape import Key, ViewShape

V = TypeVar("V", bound=View)


class Rule(NamedTuple):
    """How one event changes a row."""

    event: type[Event]
    function: Callable[..., Any]
    key: Callable[[Any], Key] | None
    keys: Callable[[Any], Iterable[Key]] | None
    wants_record: bool
    wants_key: bool
    needs_row: bool


Step = tuple[int, Rule, Any, Key]
"""One event for one row: position, rule, the event or its record, the row's key. Plain, as there are many."""


class Poison(Exception):
    """An event that the projection cannot apply, with its log position; the cause is chained."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"event {position}: {reason}")
        self.position = position
        self.reason = reason


class FoldRules(Generic[V]):
    """A projection's rules by event. Building it appends everything that is wrong to `problems`."""

    def __init__(self, projection: Projection[V], shape: ViewShape[V], problems: list[str]) -> None:
        self.shape = shape
        self.rules: dict[type[Event], Rule] = {}
        for handler in projection.handlers:
            try:
                rule = _rule(shape, handler)
            except TypeError as error:
                problems.append(f"{place(handler.function)} {error}")
                continue
            if (other := self.rules.get(rule.event)) is not None:
                problems.append(
                    f"{place(handler.function)} handles {rule.event.__name__} for {shape.name}, "
                    f"as {other.function.__name__} does already"
                )
            self.rules[rule.event] = rule


class Fold(Generic[V]):
    """Applies a projection's rules to stored events. Holds no state: the rows come in and go out."""

    def __init__(self, rules: FoldRules[V], catalogue: EventCatalogue) -> None:
        self.shape = rules.shape
        self._catalogue = catalogue
        self._rules = {event.__declared__.name: rule for event, rule in rules.rules.items()}
        self._view = rules.shape.view
        self.types = frozenset(self._rules)
        self.wants_records = any(rule.wants_record for rule in self._rules.values())

    def plan(self, events: Iterable[StoredEvent | RecordedEvent]) -> list[Step]:
        """The steps that the events ask for, in log order. Raises Poison."""
        rules = self._rules
        decoders = self._catalogue.decoders
        steps: list[Step] = []
        for event in events:
            rule = rules.get(event.type)
            if rule is None:
                continue
            try:
                if rule.wants_record:
                    subject: Any = self._recorded(event)
                elif (decode := decoders.get((event.type, event.schema))) is not None:
                    subject = decode(event.data)
                else:
                    subject = self._catalogue.decode(event)
                if rule.key is not None:
                    steps.append((event.position, rule, subject, rule.key(subject)))
                elif rule.keys is not None:
                    steps += [(event.position, rule, subject, key) for key in dict.fromkeys(rule.keys(subject))]
            except Exception as error:
                raise Poison(event.position, _reason(error)) from error
        return steps

    def apply(self, steps: Iterable[Step], rows: Mapping[Key, V]) -> dict[Key, V | None]:
        """The last state of every row that changed, None for one that is gone.

        Raises Poison, and ValueError where a handler gave a row of another key.
        """
        view = self._view
        changes: dict[Key, V | None] = {}
        for position, rule, subject, key in steps:
            row = changes[key] if key in changes else rows.get(key)
            if row is None and rule.needs_row:
                raise Poison(position, f"there is no {self.shape.name} row {key!r} for {rule.function.__name__}")
            try:
                after = rule.function(row, subject, key) if rule.wants_key else rule.function(row, subject)
            except Exception as error:
                raise Poison(position, _reason(error)) from error
            if after is not row:
                if after is not None and type(after) is not view:
                    given = f"{rule.function.__name__} gave {type(after).__name__}, not {self.shape.name} or None"
                    raise Poison(position, given)
                changes[key] = after
        self._check(changes)
        return changes

    def _check(self, changes: Mapping[Key, V | None]) -> None:
        key_of = self.shape.key_of
        for key, row in changes.items():
            if row is not None and key_of(row) != key:
                raise ValueError(f"a handler gave the {self.shape.name} row {key_of(row)!r} for the key {key!r}")

    def _recorded(self, event: StoredEvent | RecordedEvent) -> Recorded[Any]:
        assert isinstance(event, RecordedEvent)  # noqa: S101 - `wants_records` says to read them
        return self._catalogue.recorded(event)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _rule(shape: ViewShape[Any], handler: ProjectionHandler) -> Rule:
    function = handler.function
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError("is a coroutine or a generator; a projection handler is a plain function, without I/O")
    signature = read_signature(function)
    count = len(signature.parameters)
    if count != 2 and not (count == 3 and handler.keys is not None):
        raise TypeError("takes the row and the event, and with keys= the key if it wants it")
    needs_row = _needs_row(shape, signature)
    event, wants_record = _event(signature)
    if signature.returns is None or set(options(signature.returns)) - {shape.view, NoneType}:
        raise TypeError(f"must be annotated to give {shape.view.__name__} or None")
    key = None if handler.keys is not None else _own_key(shape, event, wants_record=wants_record)
    return Rule(event, function, key, handler.keys, wants_record, count == 3, needs_row)


def _needs_row(shape: ViewShape[Any], signature: Signature) -> bool:
    kinds = options(signature.parameters[0].kind)
    if shape.view not in kinds or set(kinds) - {shape.view, NoneType}:
        raise TypeError(f"must take the row as {shape.view.__name__} or {shape.view.__name__} | None")
    return NoneType not in kinds


def _event(signature: Signature) -> tuple[type[Event], bool]:
    kind = signature.parameters[1].kind
    wants_record = get_origin(kind) is Recorded
    if wants_record:
        kind = get_args(kind)[0]
    if not is_message(kind, Event):
        raise TypeError("must take an event, or Recorded[...] of one, as its second parameter")
    event: type[Event] = kind
    return event, wants_record


def _own_key(shape: ViewShape[Any], event: type[Event], *, wants_record: bool) -> Callable[[Any], Key]:
    missing = [name for name in shape.key if name not in event.__struct_fields__]
    if missing:
        raise TypeError(
            f"needs keys=: {event.__name__} has no field {missing[0]!r}, which is in the key of {shape.name}"
        )
    return attrgetter(*[f"event.{name}" if wants_record else name for name in shape.key])
