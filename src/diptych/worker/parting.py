"""From sync to async: a view that nobody wants to be kept in step any more is left behind, once it is projected."""

import asyncio
import logging
from collections.abc import Sequence

from diptych.errors import DiptychError
from diptych.log import EventLog
from diptych.read import Generation, Job, ViewStore, Watch, is_run
from diptych.read.worker import TURN

log = logging.getLogger(__name__)


class Parting:
    """Has appends let go of views that follow the log here, each once it has caught up where it does so.

    As long as a living worker of other code keeps one in step, it stays so: an old deployment answers from it. `watch`
    tells which workers live.
    """

    def __init__(
        self, jobs: Sequence[Job], log: EventLog, following: ViewStore, in_step: ViewStore, watch: Watch
    ) -> None:
        self._jobs = jobs
        self._log = log
        self._following = following
        self._in_step = in_step
        self._watch = watch
        self._head: int | None = None

    async def run(self) -> None:
        """Goes on until it is cancelled: a deployment that keeps a view in step may come back for a while."""
        while True:
            try:
                await self.look()
            except DiptychError as error:
                log.warning("views that are to follow the log cannot be looked at: %s", error)
            await asyncio.sleep(TURN.total_seconds())

    async def look(self) -> None:
        """Lets go of what can be let go of now. Raises Unavailable."""
        kept = {registered.view: registered.fingerprint for registered in await self._in_step.in_step()}
        leaving = [job for job in self._jobs if job.view in kept]
        before, self._head = self._head, (await self._log.head()).position if leaving else None
        if before is None:
            return
        workers = await self._in_step.workers()
        dead = self._watch.dead(workers)
        living = [worker for worker in workers if worker not in dead]
        for job in leaving:
            live = await self._live(job)
            if live is not None and live.position >= before and not is_run(kept[job.view], living):
                await self._in_step.part(job.view)
                log.info("view %s is not kept in step with the log any more; it follows", job.view)

    async def _live(self, job: Job) -> Generation | None:
        shape = job.fold.shape
        found = await self._following.generations(shape)
        return next((one for one in found if one.live and one.fits(shape, self._log.log_id)), None)
