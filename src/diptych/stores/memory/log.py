"""The event log in memory: the model that every other backend is held against, and a store for tests and trials.

It lives as long as its store and is shared by the threads of one process; nothing of it survives the process.
"""

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from functools import partial

from diptych.errors import DiptychError, ProjectionFailed
from diptych.log import (
    BEGINNING,
    PAGE_EVENTS,
    UNOBSERVED,
    Anchor,
    Append,
    Batch,
    Bell,
    Boundary,
    EventQuery,
    Facts,
    Head,
    Lane,
    LogObserver,
    Outcome,
    Page,
    RecordedEvent,
    RecordPage,
    Span,
    SpanPage,
    StoredEvent,
    StoredKind,
    StreamEvents,
    Verdicts,
    in_halves,
    judge,
    judge_batch,
)
from diptych.read import NOBODY, InStep
from diptych.stores.memory.held import HeldViews
from diptych.stores.memory.in_step import Moved, followed


class MemoryEvents:
    """What a log in memory holds; `lock` is held to append and to read a moving end."""

    def __init__(self) -> None:
        self.log_id = secrets.token_hex(8)
        self.context: str | None = None
        self.lock = threading.Lock()
        self.bell = Bell()
        self.events: list[RecordedEvent] = []
        self.streams: dict[str, list[RecordedEvent]] = defaultdict(list)
        self.outcomes: dict[str, Outcome] = {}
        self.kinds: dict[tuple[str, int], int] = {}


class MemoryLog:
    """See `diptych.log.EventLog` for what it promises, durability apart."""

    def __init__(
        self,
        held: MemoryEvents,
        clock: Callable[[], int],
        observer: LogObserver = UNOBSERVED,
        in_step: InStep = NOBODY,
        views: HeldViews | None = None,
    ) -> None:
        """`views` are those that it keeps in step."""
        self._held = held
        self._clock = clock
        self._in_step = in_step
        self._views = HeldViews() if views is None else views
        self._lane = Lane(self._commit, observer)

    @property
    def log_id(self) -> str:
        return self._held.log_id

    async def close(self) -> None:
        """Waits for the appends in flight."""
        await self._lane.close()

    async def append(self, append: Append) -> Outcome:
        return await self._lane.append(append)

    async def append_batch(self, batch: Batch) -> Outcome:
        async def commit() -> Outcome | DiptychError:
            streams = {*batch.expected, *(event.stream for event in batch.events)}
            try:
                return self._keep(streams, [batch.command_id], partial(judge_batch, batch))[0]
            except ProjectionFailed as error:
                return error

        return await self._lane.alone(commit)

    async def _commit(self, group: Sequence[Append]) -> Sequence[Outcome | DiptychError]:
        streams = {append.stream for append in group}
        try:
            return self._keep(streams, [append.command_id for append in group], partial(judge, group))
        except ProjectionFailed as error:
            if len(group) == 1:
                return [error]
            return await in_halves(group, self._commit)

    def _keep(
        self, streams: Iterable[str], command_ids: Iterable[str], judged: Callable[[Facts, int], Verdicts]
    ) -> Sequence[Outcome | DiptychError]:
        held = self._held
        with held.lock, self._views.lock:
            last = held.events[-1] if held.events else None
            facts = Facts(
                head=len(held.events),
                recorded_at=last.recorded_at if last else 0,
                versions={stream: len(held.streams.get(stream, ())) for stream in streams},
                outcomes={id: held.outcomes[id] for id in command_ids if id in held.outcomes},
                newest=self._newest,
            )
            verdicts = judged(facts, self._clock())
            followed = self._followed(verdicts.events)
            for event in verdicts.events:
                held.streams[event.stream].append(event)
                held.kinds.setdefault((event.type, event.schema), event.position)
            held.outcomes.update((outcome.command_id, Outcome(*outcome)) for outcome in verdicts.outcomes)
            held.events.extend(verdicts.events)
            for moved in followed:
                self._views.keep(*moved)
        if verdicts.events:
            held.bell.ring(verdicts.events[-1].position)
            for moved in followed:
                if moved.held.about.live:
                    self._views.bell(moved.shape).ring(verdicts.events[-1].position)
        return verdicts.answers

    def _followed(self, new: Sequence[RecordedEvent]) -> list[Moved]:
        """The views that are kept in step, past the new events. Raises ProjectionFailed, Unavailable."""
        return followed(self._in_step, self._views, self._held.events, new) if new else []

    def _newest(self, query: EventQuery, after: int) -> int | None:
        newer = self._held.events[after:]
        return next((event.position for event in reversed(newer) if query.accepts(event.type, event.tags)), None)

    async def load(self, stream: str, after_version: int = 0) -> StreamEvents:
        with self._held.lock:
            events = self._held.streams[stream][after_version:] if stream in self._held.streams else []
        return StreamEvents([_stored(event) for event in events], after_version + len(events))

    async def select(self, query: EventQuery) -> Boundary:
        events = self._held.events[:]
        return Boundary([_stored(event) for event in events if query.accepts(event.type, event.tags)], len(events))

    async def read(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Page:
        records, upto, since = await self.read_records(after, limit, types)
        return Page([_stored(event) for event in records], upto, since)

    async def read_records(
        self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None
    ) -> RecordPage:
        newer = self._held.events[after : after + limit] if types is None else self._held.events[after:]
        page = newer if types is None else [event for event in newer if event.type in types][:limit]
        if len(page) == limit:
            end = page[-1].position
        else:
            end = newer[-1].position if newer else min(after, len(self._held.events))
        return RecordPage(page, await self.anchor(end) or BEGINNING, await self.anchor(after))

    async def find(self, span: Span, limit: int = PAGE_EVENTS) -> SpanPage:
        held = self._held.events[:]
        head = len(held)
        fitting = [event for event in (reversed(held) if span.backwards else held) if span.accepts(event)]
        page = fitting[:limit]
        if len(fitting) > limit:
            end = page[-1].position
        else:
            end = min(span.after, head) if span.backwards else min((span.before or head + 1) - 1, head)
        return SpanPage(page, await self.anchor(max(end, 0)) or BEGINNING)

    async def head(self) -> Head:
        if not self._held.events:
            return Head(0, b"", 0)
        last = self._held.events[-1]
        return Head(last.position, last.event_id, last.recorded_at)

    async def anchor(self, position: int) -> Anchor | None:
        if position == 0:
            return BEGINNING
        if not 0 < position <= len(self._held.events):
            return None
        event = self._held.events[position - 1]
        return Anchor(event.position, event.event_id)

    async def recorded_at(self, position: int) -> int | None:
        return self._held.events[position - 1].recorded_at if 0 < position <= len(self._held.events) else None

    async def outcome(self, command_id: str) -> Outcome | None:
        return self._held.outcomes.get(command_id)

    async def kinds(self) -> Sequence[StoredKind]:
        return [StoredKind(*kind, position) for kind, position in sorted(self._held.kinds.items())]

    async def wait_past(self, position: int, timeout: timedelta) -> bool:
        return await self._held.bell.reached(position + 1, timeout)


def _stored(event: RecordedEvent) -> StoredEvent:
    return StoredEvent(event.position, event.stream, event.type, event.schema, event.data)
