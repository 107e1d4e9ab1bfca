"""given/when/then for aggregates and projections: nothing runs, nothing is stored.

    given(orders, OrderPlaced(...)).when(ShipOrder(...)).then(OrderShipped(...))
    given(orders).when(ShipOrder(...)).rejects("order-not-placed")
    given(summaries, OrderPlaced(...)).shows(OrderSummary(...))

Commands and events take the way through JSON that they take in a running context, and are validated on it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, overload

from diptych.errors import ContextError, Malformed, Rejected
from diptych.log import EventCatalogue, Metadata, RecordedEvent, to_microseconds
from diptych.messages import Command, Event, Shape, View
from diptych.read import NOTHING_WITHHELD, Fold, FoldRules, Projection, ViewShape
from diptych.read.parking import Parking
from diptych.write import Aggregate, AggregateRules, Moment

V = TypeVar("V", bound=View)
T = TypeVar("T")

MOMENT = Moment(now=datetime(2026, 1, 31, 12, tzinfo=UTC), command_id="command-1", actor="tester")
"""The moment of a decision, unless `when` is given another."""


@overload
def given(part: Aggregate[Any], /, *events: Event) -> "GivenAggregate": ...
@overload
def given(part: Projection[V], /, *events: Event) -> "GivenProjection[V]": ...


def given(part: Aggregate[Any] | Projection[Any], /, *events: Event) -> Any:
    """An aggregate or a projection after these events. Raises ContextError for one that would not build."""
    if isinstance(part, Aggregate):
        return GivenAggregate(part, events)
    return GivenProjection(part, events)


class GivenAggregate:
    """An aggregate's state after some events."""

    def __init__(self, aggregate: Aggregate[Any], events: Sequence[Event]) -> None:
        problems: list[str] = []
        self._rules = AggregateRules(aggregate, problems)
        if problems:
            raise ContextError(aggregate.name, problems)
        state = aggregate.initial
        for event in events:
            evolve = self._rules.evolvers.get(type(event))
            if evolve is None:
                raise AssertionError(f"{type(event).__name__} is not evolved by aggregate {aggregate.name!r}")
            state = evolve(state, _through_json(event))
        self._state = state

    def when(self, command: Command, *, moment: Moment = MOMENT) -> "Decided":
        """Decides the command."""
        decider = self._rules.deciders.get(type(command))
        if decider is None:
            raise AssertionError(f"{type(command).__name__} is not decided by aggregate {self._rules.name!r}")
        try:
            valid = _through_json(command)
            extra = (moment,) if decider.wants_moment else ()
            return Decided([_through_json(event) for event in decider.function(self._state, valid, *extra)])
        except (Rejected, Malformed) as refusal:
            return Decided([], refusal)


class Decided:
    """What a decision came to."""

    def __init__(self, events: Sequence[Event], refusal: Rejected | Malformed | None = None) -> None:
        self._events = list(events)
        self._refusal = refusal

    def then(self, *events: Event) -> None:
        """Exactly these events, in order; none for a decision that changes nothing."""
        __tracebackhide__ = True
        if self._refusal is not None:
            raise AssertionError(f"expected {_lines(events)}\nbut it was refused: {self._refusal}")
        if self._events != list(events):
            raise AssertionError(f"expected {_lines(events)}\nbut got  {_lines(self._events)}")

    def rejects(self, code: str) -> None:
        """A refusal with this code; `malformed` where the command's shape is wrong."""
        __tracebackhide__ = True
        if self._refusal is None:
            raise AssertionError(f"expected the rejection {code!r}\nbut got  {_lines(self._events)}")
        if self._refusal.code != code:
            raise AssertionError(f"expected the rejection {code!r}\nbut got  {self._refusal.code!r}: {self._refusal}")


class GivenProjection(Generic[V]):
    """A view after some events, recorded one second apart."""

    def __init__(self, projection: Projection[V], events: Sequence[Event]) -> None:
        problems: list[str] = []
        shape = ViewShape(projection.view, projection.version)
        rules = FoldRules(projection, shape, problems)
        if problems:
            raise ContextError(shape.name, problems)
        catalogue = EventCatalogue([*rules.rules, *(type(event) for event in events)])
        fold = Fold(rules, catalogue)
        records = [_recorded(catalogue, number, event) for number, event in enumerate(events, 1)]
        self._shape = shape
        self._rows = _folded(fold, records)

    def shows(self, *rows: V) -> None:
        """Exactly these rows, in any order."""
        __tracebackhide__ = True
        expected, found = self._sorted(rows), self._sorted(self._rows)
        if expected != found:
            raise AssertionError(f"expected {_lines(expected)}\nbut got  {_lines(found)}")

    def _sorted(self, rows: Iterable[V]) -> list[V]:
        return sorted(rows, key=lambda row: repr(self._shape.key_of(row)))


def _folded(fold: Fold[V], records: Sequence[RecordedEvent]) -> list[V]:
    rows: dict[Any, Any] = {}
    parking = Parking(NOTHING_WITHHELD, "")
    while records:
        steps, planned = fold.plan(records, parking)
        rows |= fold.apply(steps, rows, parking, careful=True)
        records = records[planned:]
    if parking.letters and (cause := parking.letters[0].cause) is not None:
        position = parking.letters[0].position
        raise AssertionError(f"{fold.shape.name} cannot apply event {position}: {cause.error}\n{cause.traceback}")
    return [row for row in rows.values() if row is not None]


def _through_json(message: T) -> T:
    return Shape(type(message)).validated(message)[0]


def _recorded(catalogue: EventCatalogue, number: int, event: Event) -> RecordedEvent:
    new, _ = catalogue.encode(event, number.to_bytes(16, "big"))
    metadata = Metadata(command_id=f"command-{number}").stored()
    at = to_microseconds(MOMENT.now) + number * 1_000_000
    return RecordedEvent(
        number, "given-1", number, new.type, new.schema, new.event_id, at, new.tags, new.data, metadata
    )


def _lines(values: Sequence[object]) -> str:
    return "\n         ".join(map(repr, values)) if values else "nothing"
