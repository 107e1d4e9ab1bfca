"""The running thing that applies a projection: page by page while it is behind, woken by the log when it is not.

Cost is per page and per changed row: a page of events is read, the rows that it touches are loaded in one call, folded
in memory, and written with the checkpoint in one transaction.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from diptych.log import PAGE_EVENTS, Anchor, EventLog, Page, RecordedEvent, RecordPage, StoredEvent
from diptych.read.fold import Fold, Poison
from diptych.read.store import Checkpoint, Failure, NeverFilled, Superseded, ViewStore

log = logging.getLogger(__name__)

Events = Sequence[StoredEvent | RecordedEvent]

IDLE = timedelta(seconds=1)
"""How long a projector waits for news before it looks again by itself."""

STAND_BY = timedelta(milliseconds=100)
"""How long a projector rests that found another one at work on its view, or its view paused."""

RETRY_FIRST = timedelta(milliseconds=100)
RETRY_STORE = timedelta(seconds=1)
RETRY_HALTED = timedelta(seconds=30)
"""Waits before a store, or an event that could not be applied, is tried again: doubled from the first to the most."""


class ProjectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What tunes one projection where it runs. `batch` is the most events that are applied in one transaction."""

    batch: int = PAGE_EVENTS


class Halted(Exception):
    """The projection stands still at an event; why is kept with its checkpoint."""

    def __init__(self, view: str, position: int, reason: str) -> None:
        super().__init__(f"projection {view} stands still at event {position}: {reason}")
        self.position = position
        self.reason = reason


class Projector:
    """Applies one projection's events to its view, exactly once in effect, however many try to."""

    def __init__(self, fold: Fold[Any], log: EventLog, views: ViewStore, page_events: int = PAGE_EVENTS) -> None:
        self._fold = fold
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._page_events = page_events
        self._claimed = False

    async def begin(self) -> None:
        """Makes the view ready, and finds out whether the log still holds what it has applied. Raises Unavailable."""
        with suppress(Halted):
            await self.prepare()

    async def run(self) -> None:
        """Applies events until it is cancelled, whatever fails: a failure is kept where queries see it, and retried."""
        wait = RETRY_FIRST
        while True:
            try:
                checkpoint = await self.prepare()
                while not checkpoint.paused:
                    checkpoint = await self.step(checkpoint)
                    wait = RETRY_FIRST
                await asyncio.sleep(STAND_BY.total_seconds())
            except Superseded:  # another projector is at work, or another generation live; this one stands by
                await asyncio.sleep(STAND_BY.total_seconds())
            except Exception as error:  # noqa: BLE001 - one broken projection must not take the others with it
                log.warning("projection %s waits %s s: %s", self._shape.name, wait.total_seconds(), error)
                await asyncio.sleep(wait.total_seconds())
                wait = min(wait * 2, RETRY_HALTED if isinstance(error, Halted) else RETRY_STORE)

    async def step(self, checkpoint: Checkpoint) -> Checkpoint:
        """Applies the next page, or waits a while for one.

        Raises Halted for an event that cannot be applied, after everything before it is applied and the failure kept.
        """
        page = await self._read(checkpoint.position)
        if page.upto.position <= checkpoint.position:
            await self._log.wait_past(checkpoint.position, IDLE)
            return checkpoint
        return await self._apply_all(page.events, checkpoint, page.upto)

    async def _apply_all(self, events: Events, checkpoint: Checkpoint, upto: Anchor) -> Checkpoint:
        """Applies the events at once, or, where one of them cannot be applied, all before the first such one."""
        try:
            return await self._apply(events, checkpoint, upto)
        except Poison as poison:
            before = [event for event in events if event.position < poison.position]
            if poison.position - 1 > checkpoint.position:
                checkpoint = await self._apply_all(before, checkpoint, await self._anchor(poison.position - 1))
            raise await self._halt(checkpoint, poison.position, poison.reason) from poison
        except ValueError as error:
            # A row does not fit the store, and the rows of a page are written at once: halves find the event.
            if len(events) == 1:
                raise await self._halt(checkpoint, events[0].position, str(error)) from error
            middle = len(events) // 2
            half = await self._anchor(events[middle - 1].position)
            checkpoint = await self._apply_all(events[:middle], checkpoint, half)
            return await self._apply_all(events[middle:], checkpoint, upto)

    async def _read(self, after: int) -> Page | RecordPage:
        read = self._log.read_records if self._fold.wants_records else self._log.read
        return await read(after, self._page_events, self._fold.types)

    async def _apply(self, events: Events, checkpoint: Checkpoint, upto: Anchor) -> Checkpoint:
        steps = self._fold.plan(events)
        rows = await self._views.load(self._shape, {key for _, _, _, key in steps}, checkpoint) if steps else {}
        changes = self._fold.apply(steps, rows)
        return await self._views.commit(self._shape, changes, checkpoint, upto)

    async def _halt(self, checkpoint: Checkpoint, position: int, reason: str) -> Halted:
        known = checkpoint.failure
        if known is None or (known.position, known.reason) != (position, reason):
            failure = Failure(position, reason, datetime.now(UTC).isoformat(timespec="seconds"))
            await self._views.record_failure(self._shape, checkpoint, failure)
        return Halted(self._shape.name, position, reason)

    async def _anchor(self, position: int) -> Anchor:
        anchor = await self._log.anchor(position)
        if anchor is None:
            raise Halted(self._shape.name, position, "the log does not have it any more")
        return anchor

    async def _claim(self) -> Checkpoint:
        """Begins the view anew if it is of another shape, but once: a later start takes it over for good."""
        if self._claimed:
            with suppress(NeverFilled):
                async with self._views.snapshot() as snapshot:
                    checkpoint = await snapshot.checkpoint(self._shape)
                    if checkpoint.log_id == self._log.log_id:
                        return checkpoint
        checkpoint = await self._views.prepare(self._shape, self._log.log_id)
        self._claimed = True
        return checkpoint

    async def prepare(self) -> Checkpoint:
        """Makes the view ready and says where it stands. Raises Halted if the log holds other events."""
        return await self.judge(await self._claim())

    async def judge(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint again, if the log holds what was applied there. Raises Halted, after the failure is kept."""
        if await self._log.anchor(checkpoint.position) != checkpoint.anchor:
            reason = (
                "the log holds another event there than the view has applied: it was restored or has lost its end; "
                f"have it filled anew: diptych projection rebuild {self._shape.name}"
            )
            raise await self._halt(checkpoint, checkpoint.position, reason)
        return checkpoint
