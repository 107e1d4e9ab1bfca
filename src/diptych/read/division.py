"""Splitting and merging: a view's generation is divided into another number of segments while workers are at work.

Whoever divides claims every segment, brings all to the position of the farthest, and divides there. One that dies on
the way leaves segments as any dead worker does: others take them, and go on.
"""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from diptych.log import EventLog
from diptych.read.checkpoint import Checkpoint, Generation, Superseded
from diptych.read.fold import Fold
from diptych.read.leases import LEASE, claim
from diptych.read.projector import Astray, Projector
from diptych.read.rebuild import Stopped
from diptych.read.store import ViewStore
from diptych.read.workers import Worker

LOOK = timedelta(milliseconds=100)

PATIENCE = LEASE * 3
"""How long the workers may take to give up their segments."""


class Division:
    """One division of a view's live generation, by a worker of the id `me`."""

    def __init__(self, me: str, fold: Fold[Any], log: EventLog, views: ViewStore) -> None:
        self._me = me
        self._fold = fold
        self._shape = fold.shape
        self._log = log
        self._views = views

    async def run(self, segments: int) -> Generation:
        """Divides, and gives the generation as it is then. Raises Stopped, Unavailable."""
        await self._beat()
        beating = asyncio.create_task(self._beating())
        deadline = time.monotonic() + PATIENCE.total_seconds()
        try:
            while True:
                with suppress(Superseded):
                    if (held := await self._claimed()) is not None:
                        level = await self._level(held)
                        await self._check_streams(level)
                        return await self._views.resegment(self._shape, level, segments)
                if time.monotonic() > deadline:
                    raise Stopped(f"a worker does not give up its segment of {self._shape.name}; try again")
                await asyncio.sleep(LOOK.total_seconds())
        except Astray as error:
            raise Stopped(str(error)) from error
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self._views.leave(self._me)

    async def _beat(self) -> None:
        await self._views.beat(Worker(self._me, frozenset([claim(self._shape.fingerprint)])))

    async def _beating(self) -> None:
        while True:
            await asyncio.sleep((LEASE / 5).total_seconds())
            await self._beat()

    async def _claimed(self) -> list[Checkpoint] | None:
        """Every segment, if all are held by now; those that are free are taken."""
        generation = await self._live()
        held = [
            at if at.owner is not None else await self._views.take(self._shape, at, self._me)
            for at in generation.checkpoints
        ]
        return held if all(at.owner == self._me for at in held) else None

    async def _level(self, held: list[Checkpoint]) -> list[Checkpoint]:
        """The segments, all at the position of the farthest one."""
        farthest = max([at.position for at in held])
        levelled: list[Checkpoint] = []
        for at in held:
            projector = Projector(self._fold, self._log, self._views, at)
            await projector.begin()
            await projector.advance(farthest)
            levelled.append(projector.checkpoint)
        return levelled

    async def _check_streams(self, level: list[Checkpoint]) -> None:
        """What holds back a stream goes to every segment, so it has to be the same in all: none is applied twice."""
        withheld = [await self._views.withheld(self._shape, at) for at in level]
        for hold in sorted({hold for one in withheld for hold in one.holds if hold.stream}):
            first = await self._views.letters(self._shape, level[0].generation, hold, limit=1)
            if len(first) < len(level):
                name = self._shape.name
                raise Stopped(f"some segments of {name} have applied what others hold back; retry or skip {hold} first")

    async def _live(self) -> Generation:
        for generation in await self._views.generations(self._shape):
            if generation.live and generation.fits(self._shape, self._log.log_id):
                if generation.pause is not None:
                    raise Stopped(f"{self._shape.name} is paused since {generation.pause.since}; resume it first")
                return generation
        raise Stopped(f"{self._shape.name} has no live generation of this code; let a worker fill it first")
