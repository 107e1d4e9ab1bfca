"""The running thing that applies a projection: page by page while it is behind, woken by the log when it is not.

Cost is per page and per changed row: a page of events is read, the rows that it touches are loaded in one call, folded
in memory, and written with the checkpoint in one transaction. What cannot be applied is parked in that transaction.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

import msgspec

from diptych.log import PAGE_EVENTS, Anchor, EventLog, Page, RecordedEvent, RecordPage, StoredEvent
from diptych.read import tidings
from diptych.read.checkpoint import Checkpoint, Failure, Pause, Superseded
from diptych.read.folding import AnyFold
from diptych.read.letters import NOTHING_WITHHELD
from diptych.read.now import utc_now
from diptych.read.parking import Overlong, Parking
from diptych.read.shape import Key
from diptych.read.store import ViewStore

log = logging.getLogger(__name__)

Events = Sequence[StoredEvent | RecordedEvent]

IDLE = timedelta(seconds=1)
"""How long a projector waits for news before it looks again by itself."""

FIRST_PAGE = 500
PAGE_TIME = timedelta(milliseconds=250)
"""How many events a projector applies in its first transaction, and how long one may take: then the next has fewer, or
more where it took less than half of that. Whoever folds for longer than a lease is taken for dead, and begins anew.
"""

LONG = timedelta(milliseconds=20)
TURNS = 20
"""Turns of the event loop that others have after a page, or a part of one, which took long: on some stores a projector
waits for nothing, and then nobody else had one.
"""

RETRY_FIRST = timedelta(milliseconds=100)
RETRY_MOST = timedelta(seconds=1)
"""Waits before what failed is tried again: doubled from the first to the most."""

RETRY_ASTRAY = timedelta(seconds=30)
"""How long a projector waits that has applied what the log does not hold: somebody has to act."""

MAX_PARKED = 1000
"""Keys that a projection holds back at most, unless told otherwise."""


class ProjectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What tunes one projection where it runs.

    `batch` is the most events that are applied in one transaction; `segments` into how many shares a generation is
    divided when it is begun; `max_parked` the most keys that dead letters hold back in one segment before the
    projection pauses itself.
    """

    batch: int = PAGE_EVENTS
    segments: int = 1
    max_parked: int = MAX_PARKED


UNTUNED = ProjectionSettings()


class Astray(Exception):
    """The log does not hold what the view has applied."""


class Unapplied(Exception):
    """An event can be neither applied nor parked."""


class Projector:
    """Applies one segment's events to its view, exactly once in effect, however many try to.

    `checkpoint` is where it is. `on_idle` is called whenever there is nothing left to apply.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        fold: AnyFold,
        log: EventLog,
        views: ViewStore,
        checkpoint: Checkpoint,
        settings: ProjectionSettings = UNTUNED,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._fold = fold
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._settings = settings
        self._on_idle = on_idle
        self._withheld = NOTHING_WITHHELD
        self._size = min(FIRST_PAGE, settings.batch)
        self._ahead: Page | RecordPage | None = None
        self.checkpoint = checkpoint

    async def run(self) -> None:
        """Applies events until it is cancelled, whatever fails: a failure is kept where operators see it, and retried.

        Raises Superseded when others have moved, taken or replaced the segment, or paused the view.
        """
        wait = RETRY_FIRST
        begun = False
        while True:
            try:
                if not begun:
                    await self.begin()
                    begun = True
                await self.step()
                wait = RETRY_FIRST
            except Superseded:
                raise
            except Exception as error:  # noqa: BLE001 - one broken projection must not take the others with it
                log.warning("projection %s waits %s s: %s", self._shape.name, wait.total_seconds(), error)
                begun = False
                await self._fail(error)
                await asyncio.sleep((RETRY_ASTRAY if isinstance(error, Astray) else wait).total_seconds())
                wait = min(wait * 2, RETRY_MOST)

    async def judge(self) -> None:
        """Has it kept if the log does not hold what was applied, before anybody is answered. Raises Superseded."""
        if await self._log.anchor(self.checkpoint.position) != self.checkpoint.anchor:
            await self._fail(self._astray())

    async def begin(self) -> None:
        """Learns what is held back. Raises Superseded."""
        self._withheld = await self._views.withheld(self._shape, self.checkpoint)
        self._ahead = None

    async def step(self) -> bool:
        """Applies the next page, or waits a while for one; says whether there was one. Raises Superseded, Astray."""
        page = await self._next()
        looked_at = page.upto.position - self.checkpoint.position
        if looked_at <= 0:
            if self.checkpoint.failure is not None:  # nothing fails any more
                self.checkpoint = await self._views.commit(self._shape, {}, self.checkpoint, self.checkpoint.anchor)
            self._on_idle()
            await self._log.wait_past(self.checkpoint.position, IDLE)
            return False
        if looked_at < self._size:
            await self._apply_page(page)
        else:
            await self._apply_and_read_on(page)
        return True

    async def _apply_and_read_on(self, page: Page | RecordPage) -> None:
        """Applies a page that others follow, while the next one is read."""
        reading = asyncio.create_task(self._read(page.upto.position))
        try:
            await self._apply_page(page)
            self._ahead = await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _apply_page(self, page: Page | RecordPage) -> None:
        """Applies a page, and finds out how large the next one should be."""
        began, size = time.monotonic(), self._size
        await self._apply_all(page.events, page.upto)
        seconds = time.monotonic() - began
        if seconds > PAGE_TIME.total_seconds():
            self._size = min(self._size, max(size // 2, 1))
        elif seconds < PAGE_TIME.total_seconds() / 2 and len(page.events) >= size:
            self._size = min(size * 2, self._settings.batch)

    async def advance(self, position: int) -> None:
        """Applies events up to a position that the log has, and none after it. Raises Superseded, Astray."""
        while self.checkpoint.position < position:
            page = await self._next()
            events = [event for event in page.events if event.position <= position]
            upto = page.upto if page.upto.position <= position else await self._anchor(position, page.upto)
            await self._apply_all(events, upto)

    async def _apply_all(self, events: Events, upto: Anchor) -> None:
        """Applies the events at once, or in parts where they change very many rows, take long, or are refused."""
        applied = 0
        while True:
            began = time.monotonic()
            some = events[applied : applied + self._size]
            is_last = applied + len(some) == len(events)
            applied += await self._apply_some(some, upto if is_last else await self._anchor(some[-1].position, upto))
            for _ in range(TURNS if time.monotonic() - began > LONG.total_seconds() else 1):
                await asyncio.sleep(0)
            if applied >= len(events):
                return

    async def _apply_some(self, events: Events, upto: Anchor, within: timedelta | None = PAGE_TIME) -> int:
        """Applies the first events, those that are folded within the time, and says how many: one at least."""
        try:
            return await self._apply(events, upto, careful=False, within=within)
        except Overlong as error:  # whoever folds on and on cannot say that it lives
            before = events_before(events, error.position)
            self._size = len(before)
            return await self._apply_some(before, await self._anchor(before[-1].position, upto), within=None)
        except ValueError:
            try:
                return await self._apply(events, upto, careful=True)
            except ValueError as error:  # the store's own reason; halves find the event
                if len(events) == 1:
                    await self._refuse(events, upto, error)
                    return 1
                half = events[: len(events) // 2]
                return await self._apply_some(half, await self._anchor(half[-1].position, upto))

    async def _apply(self, events: Events, upto: Anchor, *, careful: bool, within: timedelta | None = None) -> int:
        """Applies the first events, and says how many; all of them where they do not change very many rows."""
        at = self.checkpoint
        parking = self._parking()
        steps, planned = self._fold.plan(events, parking, at.segment, at.segments)
        if careful:
            steps = self._fold.possible(steps, parking)
        if planned < len(events):
            upto = await self._anchor(events[planned - 1].position, upto)
        touched = self._fold.touched(steps)
        rows: Mapping[Key, Any] = await self._load(touched) if touched else {}
        changes = self._fold.apply(steps, rows, parking, careful=careful, within=within)
        await self._commit(changes, upto, parking)
        return planned

    async def _load(self, keys: Collection[Key]) -> Mapping[Key, Any]:
        try:
            return await self._views.load(self._shape, set(keys), self.checkpoint)
        except Exception:  # who knows what a set or a store says of a key that no row could have; it is raised again
            for key in keys:
                self._shape.check_key(key)
            raise

    async def _refuse(self, events: Events, upto: Anchor, error: ValueError) -> None:
        """Parks an event whose rows the store cannot hold, for every row that it would change."""
        parking = self._parking()
        steps, _ = self._fold.plan(events, parking, self.checkpoint.segment, self.checkpoint.segments)
        self._fold.refuse(steps, parking, error)
        try:
            await self._commit({}, upto, parking)
        except ValueError as unparked:
            raise Unapplied(f"event {events[0].position} can be neither applied ({error}) nor parked") from unparked

    async def _commit(self, changes: Any, upto: Anchor, parking: Parking) -> None:
        if parking.letters:
            await self._check_bound(parking)
        self.checkpoint = await self._views.commit(self._shape, changes, self.checkpoint, upto, parking.letters)
        self._withheld = parking.withheld
        for letter in parking.letters:
            if letter.cause is not None:
                tidings.parked(self._shape.name, self.checkpoint, letter)

    async def _check_bound(self, parking: Parking) -> None:
        """Pauses the projection rather than hold back more keys than it may."""
        most = self._settings.max_parked
        if len(parking.holds) <= most:
            return
        first = parking.letters[0]
        because = "" if first.cause is None else f": {first.cause.error}"
        reason = f"more than {most} keys would be held back by dead letters, next by event {first.position}{because}"
        tidings.paused(self._shape.name, self.checkpoint, first.position, most)
        await self._views.pause(self._shape, Pause(utc_now(), reason))
        raise Superseded(reason)

    def _parking(self) -> Parking:
        return Parking(self._withheld, utc_now())

    async def _next(self) -> Page | RecordPage:
        """The next page of the log that the view was filled from so far. Raises Astray."""
        page, self._ahead = self._ahead or await self._read(self.checkpoint.position), None
        if page.since != self.checkpoint.anchor:
            raise self._astray()
        return page

    def _astray(self) -> Astray:
        return Astray(
            "the log holds another event there than the view has applied: it was restored or has lost its end; "
            f"have it filled anew: diptych projection rebuild {self._shape.name}"
        )

    async def _read(self, after: int) -> Page | RecordPage:
        read = self._log.read_records if self._fold.wants_records else self._log.read
        return await read(after, self._size, self._fold.types)

    async def _fail(self, error: Exception) -> None:
        """Keeps why it does not go on, in the process's own log at least. Raises Superseded."""
        category: Literal["log", "store", "event"] = (
            "log" if isinstance(error, Astray) else "event" if isinstance(error, Unapplied) else "store"
        )
        at, known = self.checkpoint, self.checkpoint.failure
        failure = Failure(category, at.position + (category != "log"), str(error), utc_now())
        if known is not None and known == msgspec.structs.replace(failure, since=known.since):
            failure = known
        try:
            self.checkpoint = await self._views.record_failure(self._shape, at, failure)
        except Superseded:  # the view is not what fails: it was put back with the log, or others go on with it
            raise
        except Exception as unkept:  # noqa: BLE001 - the store that fails may be this one
            log.warning("the failure of projection %s cannot be kept: %s", self._shape.name, unkept)

    async def _anchor(self, position: int, before: Anchor) -> Anchor:
        """The event at a position, in a log that still has the one that was read after it. Raises Astray."""
        anchor = await self._log.anchor(position)
        if anchor is None or await self._log.anchor(before.position) != before:
            raise Astray("the log has lost its end while it was read")
        return anchor


def events_before(events: Events, position: int) -> Events:
    """Those before a position."""
    return [event for event in events if event.position < position]
