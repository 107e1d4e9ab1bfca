"""From sync to async: a view that is not to be kept in step any more is left behind, once it is projected."""

import asyncio
import logging
from collections.abc import Sequence

from diptych.errors import DiptychError
from diptych.read import Job, ViewStore
from diptych.read.worker import TURN

log = logging.getLogger(__name__)


async def part(jobs: Sequence[Job], following: ViewStore, in_step: ViewStore, log_id: str) -> None:
    """Has appends let go of these jobs' views, each as soon as it is live among those that follow the log.

    Until then they are kept in step, so that no answer becomes older.
    """
    while True:
        try:
            kept = {registered.view for registered in await in_step.in_step()}
            leaving = [job for job in jobs if job.view in kept]
            for job in leaving:
                shape = job.fold.shape
                if any(one.live and one.fits(shape, log_id) for one in await following.generations(shape)):
                    await in_step.part(shape)
                    log.info("view %s is not kept in step with the log any more; it follows", job.view)
            if not leaving:
                return
        except DiptychError as error:
            log.warning("views that are to follow the log cannot be looked at: %s", error)
        await asyncio.sleep(TURN.total_seconds())
