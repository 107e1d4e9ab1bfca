"""A worker: takes segments of projections, and runs a projector on each that it has.

It beats, looks and acts in turns. Nothing that it writes depends on when: a segment that it has lost refuses its
commits.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from diptych.errors import DiptychError
from diptych.log import EventLog
from diptych.read import tidings
from diptych.read.checkpoint import Checkpoint, Generation, State, Superseded, numbered
from diptych.read.folding import AnyFold
from diptych.read.joining import join
from diptych.read.leases import LEASE, Place, Watch, assigned, keeping
from diptych.read.leftovers import Leftovers
from diptych.read.projector import UNTUNED, ProjectionSettings, Projector
from diptych.read.store import ViewStore
from diptych.read.table_fold import TableFold
from diptych.read.table_projector import TableProjector
from diptych.read.workers import Worker

log = logging.getLogger(__name__)

TURN = timedelta(milliseconds=500)
"""How often a worker beats and looks, at most; at least four times in a lease."""

HANDOVER = timedelta(milliseconds=50)
"""How soon it looks again while a segment of what answers, or is rebuilt, is not with whom it is to be and to stay."""


def nothing() -> None:
    """For whoever need not be told."""


class Job(NamedTuple):
    """A projection to run: the generation that serves its code; or, to fill another one beside it, that of a `number`.

    Workers of one job share its segments; what tells jobs apart is their `fingerprint`. `on_idle` is called whenever a
    segment that runs here has nothing left to apply.
    """

    fold: AnyFold
    settings: ProjectionSettings = UNTUNED
    number: int | None = None
    on_idle: Callable[[], None] = nothing

    @property
    def view(self) -> str:
        """The name of the view."""
        return self.fold.shape.name

    @property
    def fingerprint(self) -> str:
        """What this job's code is known by to other workers."""
        own = self.fold.shape.fingerprint
        return own if self.number is None else f"{own} {self.number}"

    @property
    def keeps_in_step(self) -> bool:
        """Whether appends are to keep what it fills in step with the log."""
        return self.fold.shape.sync and self.number is None


_Slot = tuple[str, int, int]
"""A job's fingerprint, a generation's number and a segment's."""


class _Running(NamedTuple):
    projector: Projector
    task: asyncio.Task[None]


class ProjectionWorker:
    """Runs jobs with whoever else does. `gone` tells of a worker that its process has ended, if that can be known."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        me: str,
        jobs: Sequence[Job],
        log: EventLog,
        views: ViewStore,
        lease: timedelta = LEASE,
        gone: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs = sorted(jobs, key=lambda job: job.view)
        self._log = log
        self._views = views
        kept = [keeping(job.fingerprint) for job in jobs if job.keeps_in_step]
        self._me = Worker(me, frozenset([*[job.fingerprint for job in jobs], *kept]))
        self._watch = Watch(me, lease, gone, clock)
        self._leftovers = Leftovers(lease, clock)
        self._turn = min(TURN, lease / 4)
        self._until_look = self._turn
        self._running: dict[_Slot, _Running] = {}
        self._written: dict[_Slot, int] = {}
        self._filling: set[str] = set()
        self._kept: dict[str, str] = {}
        self._head: int | None = None
        self._look = asyncio.Event()
        self._beaten = False

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Has it work while the context is open, which opens when the views are ready. Raises Unavailable."""
        running: asyncio.Task[None] | None = None
        try:
            await self.begin()
            running = asyncio.create_task(self.run())
            yield
        finally:
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await self.end()

    async def begin(self) -> None:
        """Makes itself known, makes the views ready, and takes what is free. Raises Unavailable.

        What the log does not hold any more is noticed before anybody is answered, whoever has it.
        """
        await self._act()
        for job in self._jobs:
            await self._judge(job)

    async def _judge(self, job: Job) -> None:
        shape = job.fold.shape
        fitting = [one for one in await self._views.generations(shape) if one.fits(shape, self._log.log_id)]
        for at in [at for generation in fitting for at in generation.checkpoints]:
            with suppress(Superseded):
                await _kind(job.fold)(job.fold, self._log, self._views, at).judge()

    async def run(self) -> None:
        """Works until it is cancelled, whatever fails."""
        while True:
            with suppress(TimeoutError):  # not wait_for, in which a cancellation may be lost
                async with asyncio.timeout(self._until_look.total_seconds()):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._act()
            except Exception as error:  # noqa: BLE001 - nothing else would start the projectors again
                log.warning("the projections' worker cannot look: %s", error)
                await asyncio.sleep(self._turn.total_seconds())

    async def end(self) -> None:
        """Stops every projector between two pages, and leaves its segments to others."""
        await self._stop(list(self._running))
        with suppress(DiptychError):
            await self._views.leave(self._me.id)

    async def _act(self) -> None:
        self._written = {place: running.projector.checkpoint.position for place, running in self._running.items()}
        workers = await self._views.beat(self._me)
        await self._notice_own_end(workers)
        living = list(workers)
        for worker in self._watch.dead(workers):
            if await self._views.expel(worker.id, worker.beat):
                log.info("worker %s is taken for dead", worker.id)
                living.remove(worker)
        self._kept = {registered.view: registered.fingerprint for registered in await self._views.in_step()}
        before, self._head = self._head, (await self._log.head()).position
        goal = self._head if before is None else min(before, self._head)
        found = [
            (job, generation) for job in self._jobs if (generation := await self._generation(job, goal)) is not None
        ]
        owners = assigned([place for job, generation in found for place in _places(job, generation)], living)
        self._until_look = self._turn
        for job, generation in found:
            mine = {place.segment for place in _places(job, generation) if owners[place] == self._me.id}
            if job.keeps_in_step and generation.live and generation.position >= goal:
                await join(self._views, job.fold.shape, self._kept, living)
            await self._tend(job, generation, mine)
            if (generation.live or job.number is not None) and not _settled(job, generation, owners, living):
                self._until_look = min(HANDOVER, self._turn)
            await self._clear_away(job, generation, living)

    async def _notice_own_end(self, workers: Sequence[Worker]) -> None:
        """What others took for dead begins anew: its segments are theirs by now."""
        beat = next((worker.beat for worker in workers if worker.id == self._me.id), 1)
        if self._beaten and beat == 1:
            log.warning("this worker was taken for dead, and begins anew")
            await self._stop(list(self._running))
        self._beaten = True

    async def _generation(self, job: Job, goal: int) -> Generation | None:
        """The generation to work on. One that serves goes live as soon as it is not behind, if it is the first.

        The goal is where the log was at the look before: under load it is always ahead of what is seen after it.
        """
        shape, log_id = job.fold.shape, self._log.log_id
        if job.number is not None:
            return numbered(await self._views.generations(shape), job.number)
        generation = await self._views.prepare(shape, log_id, job.settings.segments)
        if generation.state is State.FILLING and generation.position >= goal:
            with suppress(Superseded):  # somebody has paused it
                await self._views.complete(shape, generation.number)
                await self._views.switch(shape, generation.number)
            generation = await self._views.prepare(shape, log_id, job.settings.segments)
        filling = generation.state is State.FILLING
        (self._filling.add if filling else self._filling.discard)(job.fingerprint)
        return generation

    def _rests(self, job: Job, generation: Generation) -> bool:
        """Whether projectors have nothing to do: the view is paused, or appends keep it in step with the log.

        That they do was known before the log's head was: whatever came after it has brought the view along.
        """
        in_step = self._kept.get(job.view) == job.fold.shape.fingerprint and generation.live
        return generation.pause is not None or (in_step and generation.position >= (self._head or 0))

    async def _tend(self, job: Job, generation: Generation, mine: AbstractSet[int]) -> None:
        """Runs what is to be run here of a generation, and nothing else of the projection."""
        rests = self._rests(job, generation)
        await self._stop(
            [
                (fingerprint, number, segment)
                for fingerprint, number, segment in self._running
                if fingerprint == job.fingerprint and (number != generation.number or segment not in mine or rests)
            ]
        )
        await self._notice_losses(job, generation)
        for checkpoint in generation.checkpoints:
            with suppress(Superseded):
                if checkpoint.segment not in mine:
                    if checkpoint.owner == self._me.id:
                        await self._views.release(job.fold.shape, checkpoint)
                        tidings.given_up(job.view, checkpoint)
                elif checkpoint.owner is None:
                    taken = await self._views.take(job.fold.shape, checkpoint, self._me.id)
                    tidings.taken(job.view, taken)
                    await self._start(job, taken, rests=rests)
                elif checkpoint.owner == self._me.id:
                    await self._start(job, checkpoint, rests=rests)

    async def _clear_away(self, job: Job, generation: Generation, workers: Sequence[Worker]) -> None:
        """Drops what is left of code that runs nowhere any more."""
        if job.number is not None or not generation.live or not self._leftovers.due(job.view):
            return
        there = await self._views.generations(job.fold.shape)
        for left in self._leftovers.found(job.view, there, generation, workers):
            await self._views.drop(job.fold.shape, left.number)
            tidings.cleared_away(job.view, left)

    async def _notice_losses(self, job: Job, generation: Generation) -> None:
        """Stops what runs here on segments that others have by now."""
        for at in generation.checkpoints:
            place = (job.fingerprint, at.generation, at.segment)
            if place in self._running and at.owner != self._me.id:
                tidings.lost(job.view, at)
                await self._stop([place])

    def _goes_on(self, place: _Slot, at: Checkpoint) -> bool:
        """Whether a projector is at work there under the same epoch, and the view still has what it has written.

        A crash of the store may cost the last moments of a view, and a restored copy more; nobody else moves it back.
        """
        running = self._running.get(place)
        if running is None or running.task.done() or running.projector.checkpoint.epoch != at.epoch:
            return False
        return self._written.get(place, 0) <= at.position

    async def _start(self, job: Job, at: Checkpoint, *, rests: bool) -> None:
        """Runs a projector on a segment, unless one goes on there, or there is no need to."""
        place = (job.fingerprint, at.generation, at.segment)
        if rests or self._goes_on(place, at):
            return
        await self._stop([place])
        projector = _kind(job.fold)(job.fold, self._log, self._views, at, job.settings, partial(self._idle, job))
        task = asyncio.create_task(projector.run(), name=f"{job.view} {at.generation}.{at.segment}")
        task.add_done_callback(self._ended)
        self._running[place] = _Running(projector, task)

    def _idle(self, job: Job) -> None:
        job.on_idle()
        if job.fingerprint in self._filling:  # it may be ready to go live
            self._look.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Superseded):
            log.error("a projector has ended", exc_info=error)
        self._look.set()

    async def _stop(self, places: Sequence[_Slot]) -> None:
        tasks = [self._running.pop(place).task for place in places if place in self._running]
        for task in tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _places(job: Job, generation: Generation) -> list[Place]:
    return [Place(job.view, job.fingerprint, number) for number in range(len(generation.checkpoints))]


def _settled(job: Job, generation: Generation, owners: Mapping[Place, str | None], workers: Sequence[Worker]) -> bool:
    """Whether every segment is whose it is to be, and nobody's who has come for a while: to fill or to divide it."""
    staying = {worker.id for worker in workers if job.fingerprint in worker.fingerprints}
    held = zip(_places(job, generation), generation.checkpoints, strict=True)
    return all(at.owner in staying and at.owner == owners[place] for place, at in held)


def _kind(fold: AnyFold) -> type[Projector]:
    return TableProjector if isinstance(fold, TableFold) else Projector
