"""From async to sync: appends keep a view in step with the log, once it has caught up and newer code does not do so."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from diptych.read.checkpoint import Superseded
from diptych.read.leases import keeping
from diptych.read.shape import ViewShape
from diptych.read.store import ViewStore
from diptych.read.workers import Worker

log = logging.getLogger(__name__)


async def join(views: ViewStore, shape: ViewShape[Any], kept: Mapping[str, str], workers: Sequence[Worker]) -> None:
    """Has appends keep a view in step by code of this shape.

    `kept` has the fingerprints of the code that keeps views in step, by their names. It gives way to code whose live
    generation is newer, as long as one of the living `workers` runs that: then an old deployment is being replaced.
    """
    before = kept.get(shape.name)
    if before == shape.fingerprint:
        return
    if before is not None and is_run(before, workers):
        live = {one.fingerprint: one.number for one in await views.generations(shape) if one.live}
        if live.get(before, 0) > live.get(shape.fingerprint, 0):
            return
    with suppress(Superseded):
        await views.join(shape)
        log.info("view %s is kept in step with the log from now on", shape.name)


def is_run(fingerprint: str, workers: Sequence[Worker]) -> bool:
    """Whether one of the workers has appends keep a view in step by code of this fingerprint."""
    return any(keeping(fingerprint) in worker.fingerprints for worker in workers)
