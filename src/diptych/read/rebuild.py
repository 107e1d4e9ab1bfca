"""A rebuild: a new generation of a view is filled beside the live one, and replaces it once it is not behind.

The live one is projected and answers all the while. What is filled is kept page by page, so that a rebuild that was
stopped or killed at any moment goes on where it was.
"""

import asyncio
from contextlib import suppress
from typing import Any

from diptych.log import PAGE_EVENTS, EventLog
from diptych.read.fold import Fold
from diptych.read.projector import STAND_BY, Halted, Projector
from diptych.read.store import Checkpoint, Superseded, ViewStore


class Stopped(Exception):
    """The rebuild cannot go on: why, and what to do, in words."""


class Rebuild:
    """One rebuild of a view. Several of one view may run: they fill the same generation together.

    `began_at`, `position` and `head` are where it began, how far it is, and how far the log was when it last looked.
    """

    def __init__(self, fold: Fold[Any], log: EventLog, views: ViewStore, page_events: int = PAGE_EVENTS) -> None:
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._projector = Projector(fold, log, views, page_events)
        self.began_at = self.position = self.head = 0

    async def begin(self, *, anew: bool = False) -> Checkpoint:
        """The unfinished generation that fits, or an empty one; with `anew` an empty one. Raises Stopped.

        One that came upon an event that it could not apply is not gone on with: its handlers are others by now.
        """
        for generation in await self._views.generations(self._shape):
            self._check_pause(generation.checkpoint)
        checkpoint = await self._views.begin(self._shape, self._log.log_id, anew=anew)
        with suppress(Halted):  # the log has lost events that it had applied
            await self._projector.judge(checkpoint)
        checkpoint = await self._look(checkpoint.epoch)
        if checkpoint.failure is not None:
            checkpoint = await self._views.begin(self._shape, self._log.log_id, anew=True)
        self.began_at = self.position = checkpoint.position
        self.head = (await self._log.head()).position
        return checkpoint

    async def run(self, checkpoint: Checkpoint) -> Checkpoint:
        """Fills the generation of the checkpoint, and makes it live. Raises Stopped, Unavailable."""
        while True:
            try:
                checkpoint = await self._catch_up(checkpoint)
                if await self._views.switch(self._shape, checkpoint):
                    return checkpoint
                await self._judge_live()
            except Superseded:
                await asyncio.sleep(STAND_BY.total_seconds())
                checkpoint = await self._look(checkpoint.epoch)
            except Halted as halt:
                raise Stopped(
                    f"{self._shape.name} cannot be rebuilt past event {halt.position}: {halt.reason}. The generation "
                    "before stays live. Mend the handler, and rebuild again: that begins from the start of the log"
                ) from halt

    async def _catch_up(self, checkpoint: Checkpoint) -> Checkpoint:
        self.head = (await self._log.head()).position
        while checkpoint.position < self.head:
            checkpoint = await self._projector.step(checkpoint)
            self.position = checkpoint.position
            await asyncio.sleep(0)  # a page may be applied without waiting for anything; others get their turn
        return checkpoint

    async def _judge_live(self) -> None:
        """Has it noted if the live generation is ahead of a log that lost its end: it would never be overtaken."""
        for generation in await self._views.generations(self._shape):
            if generation.live and generation.checkpoint.log_id == self._log.log_id:
                with suppress(Halted):
                    await self._projector.judge(generation.checkpoint)

    def _check_pause(self, checkpoint: Checkpoint) -> None:
        if checkpoint.paused:
            raise Stopped(f"{self._shape.name} is paused since {checkpoint.paused}; resume it, and rebuild it then")

    async def _look(self, epoch: int) -> Checkpoint:
        for generation in await self._views.generations(self._shape):
            checkpoint = generation.checkpoint
            if checkpoint.epoch == epoch:
                self._check_pause(checkpoint)
                return checkpoint
        raise Stopped(f"another rebuild, or another version of the code, has begun {self._shape.name} anew meanwhile")
