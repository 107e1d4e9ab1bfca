"""Makes snapshots beside the commands, never in their way: what is due waits its turn, in bounded memory."""

import asyncio
import logging
from datetime import timedelta
from typing import NamedTuple

from diptych.errors import DiptychError
from diptych.write.rules import AggregateRules
from diptych.write.snapshots import Snapshots
from diptych.write.state_shape import StateShape

log = logging.getLogger(__name__)

WAITING = 1024
"""Streams whose snapshots may wait; one more has to be due again."""

WRITERS = 2
"""Snapshots that are made at a time."""

PATIENCE = timedelta(seconds=5)
"""How long closing waits for those that are due."""


class Due(NamedTuple):
    """Whose snapshot is to be made."""

    rules: AggregateRules
    shape: StateShape


class SnapshotKeeper:
    """Makes snapshots in the background. It belongs to one event loop. What fails is logged, and is nobody's error."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._waiting: dict[str, Due] = {}
        self._writers: set[asyncio.Task[None]] = set()

    def keep(self, rules: AggregateRules, shape: StateShape, stream: str) -> bool:
        """Takes a stream whose snapshot is due. False where too many wait."""
        if len(self._waiting) >= WAITING:
            return False
        self._waiting[stream] = Due(rules, shape)
        if sum([not writer.done() for writer in self._writers]) < WRITERS:  # one that has ended is there for a turn
            writer = asyncio.get_running_loop().create_task(self._write())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        return True

    async def close(self) -> None:
        """Waits for what is due, for a while, and lets go of the rest."""
        if not self._writers:
            return
        _, late = await asyncio.wait(self._writers, timeout=PATIENCE.total_seconds())
        for writer in late:
            writer.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _write(self) -> None:
        while self._waiting:
            stream = next(iter(self._waiting))
            rules, shape = self._waiting.pop(stream)
            try:
                start = await self._snapshots.start(rules, stream)
                await self._snapshots.keep(shape, stream, start, await self._snapshots.fold(rules, start))
            except DiptychError as error:
                log.warning("No snapshot of %s was kept: %s", stream, error)
            except Exception:  # a user's own evolve may raise anything; the next snapshot is still to be kept
                log.exception("No snapshot of %s was kept", stream)
