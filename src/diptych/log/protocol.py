"""The hinge: what a log of events promises, whatever keeps it.

1. Atomic: the events of one append are kept all or none, with the command's id and outcome.
2. Durable: when `append` returns, its events survive kill -9 and power loss.
3. Conditional: of any number of racing appends whose conditions exclude each other, exactly one is kept.
4. Gapless and in order: positions are 1, 2, 3, …; whoever sees an event sees every event before it.
5. Once: a repeated command id with the same body gets the first outcome and appends nothing.
6. Waking: a follower learns of new events by notification, and by polling where a notification was lost.
7. In time order: `recorded_at` never falls from one position to the next.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

from diptych.log.conditions import EventQuery
from diptych.log.events import Anchor, Append, Batch, Outcome, RecordedEvent, StoredEvent
from diptych.log.span import Span

PAGE_EVENTS = 5000
"""Events of a page, unless asked for otherwise."""


class Page(NamedTuple):
    """Events in log order, and how far the log was read for them.

    Every event up to `upto` that was asked for is in this page or an earlier one; `upto` may be past the last event.
    `since` is the event at the position that was read after, or None where the log has none there: whoever came that
    far on another event than this one follows a log that is no more.
    """

    events: Sequence[StoredEvent]
    upto: Anchor
    since: Anchor | None


class RecordPage(NamedTuple):
    """As Page, with whole records."""

    events: Sequence[RecordedEvent]
    upto: Anchor
    since: Anchor | None


class SpanPage(NamedTuple):
    """Events of a span in its order, and how far was looked for them."""

    events: Sequence[RecordedEvent]
    upto: Anchor


class Boundary(NamedTuple):
    """The events that fit a query, in log order, and the log's head under the same snapshot."""

    events: Sequence[StoredEvent]
    head: int


class StreamEvents(NamedTuple):
    """Events of a stream in order, and the stream's version; 0 for no such stream."""

    events: Sequence[StoredEvent]
    version: int


class Head(NamedTuple):
    """The newest event; zeros for an empty log. `recorded_at` is microseconds since 1970 UTC."""

    position: int
    event_id: bytes
    recorded_at: int


class StoredKind(NamedTuple):
    """A stored name and schema that the log holds events of, and the position of the first of them."""

    type: str
    schema: int
    position: int


class EventLog(Protocol):
    """An append-only log of events in commit order. Every method may raise Unavailable."""

    @property
    def log_id(self) -> str:
        """16 hexadecimal digits that tell this log from every other; a copy of the log keeps them."""
        ...

    async def append(self, append: Append) -> Outcome:
        """Keeps the events, all or none, if the condition holds; or gives the outcome of the same command before.

        Raises Conflict (the condition no longer holds), CommandIdReused (same command id, other body), TooLarge,
        Unavailable (nothing was kept), OutcomeUnknown (the store failed in the moment of the commit).
        """
        ...

    async def append_batch(self, batch: Batch) -> Outcome:
        """Keeps a batch as `append` keeps an append: all or none, and once.

        Appends wait for it meanwhile, so a batch is for a thousand events and not for a million. Raises what `append`
        raises; the Conflict is of the first stream that is not where it was expected.
        """
        ...

    async def load(self, stream: str, after_version: int = 0) -> StreamEvents:
        """The events of one stream over a version, in order; the version is `after_version` where there are none."""
        ...

    async def select(self, query: EventQuery) -> Boundary:
        """All events that fit the query, with the head that they were read under."""
        ...

    async def read(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Page:
        """At most `limit` events with a position over `after`, in log order; only of these stored types, if given."""
        ...

    async def read_records(
        self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None
    ) -> RecordPage:
        """As `read`, with whole records."""
        ...

    async def find(self, span: Span, limit: int = PAGE_EVENTS) -> SpanPage:
        """At most `limit` events of the span, in log order, or from its end if it goes backwards.

        `upto` is how far was looked, in that direction: every event of the span from where it begins to there is in
        this page. A page may be short, and even empty, before the span is over: `Span.rest` tells.
        """
        ...

    async def head(self) -> Head:
        """The newest event."""
        ...

    async def anchor(self, position: int) -> Anchor | None:
        """The event at a position, or None where the log has none there."""
        ...

    async def recorded_at(self, position: int) -> int | None:
        """When the event at a position was recorded, in microseconds since 1970, or None where there is none."""
        ...

    async def outcome(self, command_id: str) -> Outcome | None:
        """What became of an accepted command."""
        ...

    async def kinds(self) -> Sequence[StoredKind]:
        """Every stored name and schema in the log, in order of both, without a look at the events themselves."""
        ...

    async def wait_past(self, position: int, timeout: timedelta) -> bool:
        """Waits until the log has an event over this position, or the time is over; says whether it has."""
        ...
