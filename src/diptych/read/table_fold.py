"""The fold of a TableProjection: pure, too. What events ask for, as statements, and what becomes of one that fails.

`TableRules` reads the handlers and finds what is wrong with them; `TableFold` runs them with a catalogue of events. A
handler is a coroutine that yields statements and is sent their rows: whoever has the database runs them.
"""

import inspect
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from types import NoneType
from typing import Any, NamedTuple

from diptych.log import EventCatalogue, Recorded, RecordedEvent, StoredEvent
from diptych.messages import Event
from diptych.messages.signature import place, read_signature
from diptych.read.fold import event_of
from diptych.read.letters import Hold
from diptych.read.parking import HandlerFailed, Overlong, Parking
from diptych.read.shape import Key
from diptych.read.table_shape import TableShape
from diptych.read.tables import Row, Statement, TableHandler, TableProjection, Tables

HANDLER_TIMEOUT = timedelta(seconds=5)
"""How long a handler may take for one event, and a store for one of its statements."""

BATCH_TIMEOUT = timedelta(seconds=1)
"""How long one transaction may take that has more than one event: others may wait for what it has locked."""


class TableRule(NamedTuple):
    """How one event, of this stored name, changes the tables."""

    event: type[Event]
    name: str
    function: Callable[[Tables, Any], Coroutine[Any, Any, None]]
    key: Callable[[Any], Key] | None
    wants_record: bool


TableStep = tuple[int, TableRule, Any, Hold]
"""One event: position, rule, the event or its record, what is held back if it fails."""


class TableChanges:
    """What some events ask for, to be done in one transaction, in order. It may be begun any number of times."""

    def __init__(self, steps: Sequence[TableStep]) -> None:
        self._steps = steps

    def begin(self) -> "Handlers":
        """The handlers at work, from the first one on. Raises HandlerFailed."""
        return Handlers(_statements(self._steps))


class Handlers:
    """Handlers at work, one after the other. `statement` is what they ask for; None when all are done."""

    def __init__(self, statements: Generator[Statement, list[Row], None]) -> None:
        self._statements = statements
        self.statement = next(statements, None)

    def answer(self, rows: list[Row]) -> None:
        """Goes on with the rows of the statement. Raises HandlerFailed, Overlong."""
        try:
            self.statement = self._statements.send(rows)
        except StopIteration:
            self.statement = None

    def fail(self, error: Exception) -> None:
        """Tells the handler what is wrong with its statement. Raises HandlerFailed, always."""
        self._statements.throw(error)

    def close(self) -> None:
        """Ends those that are not done."""
        self._statements.close()


class TableRules:
    """A table projection's rules by event. Building it appends everything that is wrong to `problems`."""

    def __init__(self, projection: TableProjection, shape: TableShape, problems: list[str]) -> None:
        self.shape = shape
        self.rules: dict[type[Event], TableRule] = {}
        for handler in projection.handlers:
            try:
                rule = _rule(handler)
            except TypeError as error:
                problems.append(f"{place(handler.function)} {error}")
                continue
            if (other := self.rules.get(rule.event)) is not None:
                problems.append(
                    f"{place(handler.function)} handles {rule.event.__name__} for {shape.name}, "
                    f"as {place(other.function)} does already"
                )
            self.rules[rule.event] = rule


class TableFold:
    """See `AnyFold`. Rows are neither loaded nor kept here: a step's key is the Hold of its event."""

    replayable = False

    def __init__(self, rules: TableRules, catalogue: EventCatalogue) -> None:
        self.shape = rules.shape
        self._catalogue = catalogue
        self._rules = {rule.name: rule for rule in rules.rules.values()}
        self.types = frozenset(self._rules)
        self.wants_records = any(rule.wants_record for rule in self._rules.values())

    def plan(
        self, events: Iterable[StoredEvent | RecordedEvent], parking: Parking, segment: int = 0, segments: int = 1
    ) -> tuple[list[TableStep], int]:
        steps: list[TableStep] = []
        planned = 0
        for event in events:
            planned += 1
            rule = self._rules.get(event.type)
            stream = Hold(stream=event.stream)
            if rule is None or parking.waits(stream, event.position, event.type):
                continue
            try:
                subject = self._recorded(event) if rule.wants_record else self._catalogue.decode(event)
                hold = stream if rule.key is None else self.shape.hold(rule.key(subject))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a key function raises, sys.exit() included
                parking.fail(stream, event.position, event.type, error)
                continue
            steps.append((event.position, rule, subject, hold))
        return steps, planned

    def touched(self, steps: Iterable[TableStep]) -> set[Key]:
        return set()

    def possible(self, steps: Iterable[TableStep], parking: Parking) -> list[TableStep]:
        return list(steps)

    def apply(
        self,
        steps: Sequence[TableStep],
        rows: Mapping[Key, Any],
        parking: Parking,
        *,
        careful: bool = False,
        within: timedelta | None = None,
    ) -> TableChanges:
        return TableChanges(
            [step for step in steps if not parking.holds or not parking.waits(step[3], step[0], step[1].name)]
        )

    def refuse(self, steps: Iterable[TableStep], parking: Parking, error: Exception) -> None:
        for position, rule, _, hold in steps:
            if not parking.waits(hold, position, rule.name):
                parking.fail(hold, position, rule.name, error)

    def _recorded(self, event: StoredEvent | RecordedEvent) -> Recorded[Any]:
        assert isinstance(event, RecordedEvent)  # noqa: S101 - `wants_records` says to read them
        return self._catalogue.recorded(event)


def _statements(steps: Sequence[TableStep]) -> Generator[Statement, list[Row], None]:
    """What all handlers ask for. Raises HandlerFailed, Overlong."""
    tables = Tables()
    begun = time.monotonic()
    for number, (position, rule, subject, _) in enumerate(steps):
        if number and time.monotonic() - begun > BATCH_TIMEOUT.total_seconds():
            raise Overlong(position)
        try:
            yield from _asked_by(rule.function(tables, subject))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            raise HandlerFailed(position, error) from error


def _asked_by(handler: Coroutine[Any, Any, None]) -> Generator[Statement, list[Row], None]:
    """What one handler asks for. A failure is told to it, so that it is known where, and ends it in any case."""
    deadline = time.monotonic() + HANDLER_TIMEOUT.total_seconds()
    rows: list[Row] | None = None
    try:
        while True:
            asked = handler.send(rows)
            try:
                rows = yield _statement(asked, deadline)
            except Exception as error:
                with suppress(StopIteration):
                    handler.throw(error)
                raise
    except StopIteration:
        return
    finally:
        handler.close()


def _statement(asked: object, deadline: float) -> Statement:
    """What a handler awaits. Raises TypeError for anything but its tables, TimeoutError."""
    if not isinstance(asked, Statement):
        raise TypeError("a handler awaits its Tables, and nothing else")
    if time.monotonic() > deadline:
        raise TimeoutError(f"a handler may take {HANDLER_TIMEOUT.total_seconds():g} s")
    return asked


def _rule(handler: TableHandler) -> TableRule:
    function = handler.function
    if not inspect.iscoroutinefunction(function):
        raise TypeError("is not async; a handler of a TableProjection is an async function, since it awaits its Tables")
    signature = read_signature(function)
    if len(signature.parameters) != 2 or signature.parameters[0].kind is not Tables:
        raise TypeError("must take the Tables and the event")
    event, wants_record = event_of(signature)
    if signature.returns is not NoneType:
        raise TypeError("must be annotated to give None: what it does is in its SQL")
    return TableRule(event, event.__declared__.name, function, handler.key, wants_record)
