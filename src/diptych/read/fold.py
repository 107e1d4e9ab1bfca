"""The fold of a projection: pure. Which rows a page of events touches, and what becomes of them.

`FoldRules` reads the handlers and finds what is wrong with them; `Fold` applies them with a catalogue of events.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from operator import attrgetter
from time import monotonic
from types import NoneType
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_origin

from diptych.errors import UnreadableEvent
from diptych.log import EventCatalogue, Recorded, RecordedEvent, StoredEvent
from diptych.messages import Event, View
from diptych.messages.signature import Signature, is_message, options, place, read_signature
from diptych.read.letters import Hold
from diptych.read.parking import Overlong, Parking
from diptych.read.projection import Projection, ProjectionHandler
from diptych.read.shape import Key, ViewShape
from diptych.read.share import segment_of

V = TypeVar("V", bound=View)


MAX_STEPS = 20_000
"""Steps after which a batch is closed, whatever events are left of its page: what bounds the rows that it holds."""

MAX_KEYS_TIME = timedelta(milliseconds=250)
"""How long the events of a batch may take to name their keys, before it is closed like that."""

MAX_KEYS = 100_000
"""Rows that one event may change."""


Decode = Callable[[bytes], Any]
KeyOf = Callable[[Any], Key]


class Rule(NamedTuple):
    """How one event, of this stored name, changes a row."""

    event: type[Event]
    name: str
    function: Callable[..., Any]
    key: KeyOf | None
    keys: Callable[[Any], Iterable[Key]] | None
    wants_record: bool
    wants_key: bool
    needs_row: bool


Step = tuple[int, Rule, Any, Key]
"""One event for one row: position, rule, the event or its record, the row's key. Plain, as there are many."""


class FoldRules(Generic[V]):
    """A projection's rules by event. Building it appends everything that is wrong to `problems`."""

    def __init__(self, projection: Projection[V], shape: ViewShape[V], problems: list[str]) -> None:
        self.shape = shape
        self.replayable = projection.replayable
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
        self.replayable = rules.replayable
        self._catalogue = catalogue
        self._rules = {rule.name: rule for rule in rules.rules.values()}
        self._usual = self._usual_events()
        self._view = rules.shape.view
        self.types = frozenset(self._rules)
        self.wants_records = any(rule.wants_record for rule in self._rules.values())

    def plan(
        self, events: Iterable[StoredEvent | RecordedEvent], parking: Parking, segment: int = 0, segments: int = 1
    ) -> tuple[list[Step], int]:
        """The steps that the first events ask for in one segment, in log order, and how many events those are.

        It ends after an event of several rows that brings more than MAX_STEPS, or for which it has taken longer than
        MAX_KEYS_TIME. An event that cannot be read for its keys is parked.
        """
        usual = self._usual
        deadline = monotonic() + MAX_KEYS_TIME.total_seconds()
        steps: list[Step] = []
        planned = 0
        for event in events:
            planned += 1
            if parking.streams and self._waits(event, parking):
                continue
            try:
                if (known := usual.get((event.type, event.schema))) is not None:
                    rule, decode, key_of = known
                    subject = decode(event.data)
                    key = key_of(subject)
                    if segments == 1 or self._is_of(key, segment, segments):
                        steps.append((event.position, rule, subject, key))
                else:
                    steps += [step for step in self._steps(event) if self._is_of(step[3], segment, segments)]
                    if len(steps) > MAX_STEPS or monotonic() > deadline:
                        break
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a handler's own code raises, sys.exit() included
                parking.fail(Hold(stream=event.stream), event.position, event.type, self._explained(event, error))
        return steps, planned

    def touched(self, steps: Iterable[Step]) -> list[Key]:
        """The rows that have to be loaded first, some more than once."""
        return [key for _, _, _, key in steps]

    def possible(self, steps: Iterable[Step], parking: Parking) -> list[Step]:
        """The steps for keys that a row could have. The others are parked."""
        possible: list[Step] = []
        for step in steps:
            position, rule, _, key = step
            try:
                self.shape.check_key(key)
                possible.append(step)
            except ValueError as error:
                if not parking.waits(self._hold(key), position, rule.name):
                    parking.fail(self._hold(key), position, rule.name, error)
        return possible

    def apply(
        self,
        steps: Sequence[Step],
        rows: Mapping[Key, V],
        parking: Parking,
        *,
        careful: bool = False,
        within: timedelta | None = None,
    ) -> dict[Key, V | None]:
        """The last state of every row that changed, None for one that is gone. What cannot be applied is parked.

        Raises ValueError where a handler gave a row of another key; if `careful`, that is found step by step, and
        parked as well, and so is a row that no store could hold. Raises Overlong.
        """
        changes: dict[Key, V | None] = {}
        first = steps[0][0] if steps else 0
        deadline = math.inf if within is None else monotonic() + within.total_seconds()
        for position, rule, subject, key in steps:
            if monotonic() > deadline and position > first:
                raise Overlong(position)
            if parking.holds and parking.waits(self._hold(key), position, rule.name):
                continue
            row = changes[key] if key in changes else rows.get(key)
            try:
                after = self._changed(rule, row, subject, key)
                if after is not row:
                    if careful and after is not None:
                        self.shape.check(after)
                        self._check_key(key, after)
                    changes[key] = after
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a handler raises, sys.exit() included
                parking.fail(self._hold(key), position, rule.name, error)
        if not careful:
            self._check_keys(changes)
        return changes

    def refuse(self, steps: Iterable[Step], parking: Parking, error: Exception) -> None:
        """Parks every step, for the reason that a store has given."""
        for position, rule, _, key in steps:
            hold = self._hold(key)
            if not parking.waits(hold, position, rule.name):
                parking.fail(hold, position, rule.name, error)

    def _usual_events(self) -> dict[tuple[str, int], tuple[Rule, Decode, KeyOf]]:
        """By stored name and schema, what is needed of an event that changes the one row that its fields name."""
        return {
            stored: (rule, decode, rule.key)
            for stored, decode in self._catalogue.decoders.items()
            if (rule := self._rules.get(stored[0])) is not None and rule.key is not None and not rule.wants_record
        }

    def _steps(self, event: StoredEvent | RecordedEvent) -> list[Step]:
        """The steps of any event, of whatever segment."""
        rule = self._rules.get(event.type)
        if rule is None:
            return []
        subject = self._recorded(event) if rule.wants_record else self._catalogue.decode(event)
        keys = [rule.key(subject)] if rule.key is not None else _several(rule, subject)
        return [(event.position, rule, subject, key) for key in keys]

    def _is_of(self, key: Key, segment: int, segments: int) -> bool:
        return segments == 1 or segment_of(self.shape.key_text(key), segments) == segment

    def _waits(self, event: StoredEvent | RecordedEvent, parking: Parking) -> bool:
        return event.type in self._rules and parking.waits(Hold(stream=event.stream), event.position, event.type)

    def _changed(self, rule: Rule, row: V | None, subject: Any, key: Key) -> V | None:
        if row is None and rule.needs_row:
            raise LookupError(f"there is no {self.shape.name} row {key!r} for {rule.function.__name__}")
        after: V | None = rule.function(row, subject, key) if rule.wants_key else rule.function(row, subject)
        if after is not row and after is not None and type(after) is not self._view:
            given = type(after).__name__
            raise TypeError(f"{rule.function.__name__} gave {given}, not {self.shape.name} or None")
        return after

    def _check_keys(self, changes: Mapping[Key, V | None]) -> None:
        for key, row in changes.items():
            if row is not None:
                self._check_key(key, row)

    def _check_key(self, key: Key, row: V) -> None:
        given = self.shape.key_of(row)
        if given != key:
            raise ValueError(f"a handler gave the {self.shape.name} row {given!r} for the key {key!r}")

    def _hold(self, key: Key) -> Hold:
        return Hold(self.shape.key_text(key))

    def _explained(self, event: StoredEvent | RecordedEvent, error: BaseException) -> BaseException:
        """Why an event cannot be read, where that is what is wrong with it."""
        try:
            self._catalogue.decode(event)
        except UnreadableEvent as unreadable:
            return unreadable
        return error

    def _recorded(self, event: StoredEvent | RecordedEvent) -> Recorded[Any]:
        assert isinstance(event, RecordedEvent)  # noqa: S101 - `wants_records` says to read them
        return self._catalogue.recorded(event)


def _several(rule: Rule, subject: Any) -> list[Key]:
    """The different keys that the rule's own function gives."""
    assert rule.keys is not None  # noqa: S101 - a rule has one way to its keys
    keys = list(islice(rule.keys(subject), MAX_KEYS + 1))
    if len(keys) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys for one event")
    return list(dict.fromkeys(keys))


def _rule(shape: ViewShape[Any], handler: ProjectionHandler) -> Rule:
    function = handler.function
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError("is a coroutine or a generator; a projection handler is a plain function, without I/O")
    signature = read_signature(function)
    count = len(signature.parameters)
    if count != 2 and not (count == 3 and handler.keys is not None):
        raise TypeError("takes the row and the event, and with keys= the key if it wants it")
    needs_row = _needs_row(shape, signature)
    event, wants_record = event_of(signature)
    if signature.returns is None or set(options(signature.returns)) - {shape.view, NoneType}:
        raise TypeError(f"must be annotated to give {shape.view.__name__} or None")
    key = None if handler.keys is not None else _own_key(shape, event, wants_record=wants_record)
    return Rule(event, event.__declared__.name, function, key, handler.keys, wants_record, count == 3, needs_row)


def _needs_row(shape: ViewShape[Any], signature: Signature) -> bool:
    kinds = options(signature.parameters[0].kind)
    if shape.view not in kinds or set(kinds) - {shape.view, NoneType}:
        raise TypeError(f"must take the row as {shape.view.__name__} or {shape.view.__name__} | None")
    return NoneType not in kinds


def event_of(signature: Signature) -> tuple[type[Event], bool]:
    """The event that a handler takes as its second parameter, and whether as a record. Raises TypeError."""
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
