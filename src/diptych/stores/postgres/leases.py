"""Leases on PostgreSQL: which workers there are, and which of them has which segment."""

from collections.abc import Iterable, Mapping

import asyncpg

from diptych.read import Checkpoint, Worker
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.generations import checkpoint_of


class Leases:
    """The leases of a store, on a connection."""

    def __init__(self, connection: Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql

    async def beat(self, worker: Worker) -> list[Worker]:
        """Makes a worker known, or has its beat grow; gives all workers."""
        binds = (worker.id, worker.beat, sorted(worker.fingerprints))
        return _workers(await self._connection.fetch(self._sql["beat"], *binds))

    async def workers(self) -> list[Worker]:
        """All workers that are known."""
        return _workers(await self._connection.fetch(self._sql["workers"]))

    async def expel(self, worker: str, beat: int) -> bool:
        """Forgets a worker that has not beaten since, and frees its segments."""
        async with self._connection.transaction():
            if await self._connection.fetchval(self._sql["expel"], worker, beat) is None:
                return False
            await self._connection.execute(self._sql["free"], worker)
        return True

    async def leave(self, worker: str) -> None:
        """Forgets a worker, and frees its segments."""
        async with self._connection.transaction():
            await self._connection.execute(self._sql["leave"], worker)
            await self._connection.execute(self._sql["free"], worker)

    async def take(self, view: str, at: Checkpoint, worker: str) -> Checkpoint | None:
        """Gives a segment to a worker; None if it is not free at the epoch of `at`, or the worker is not known."""
        row = await self._connection.fetchrow(self._sql["take"], view, at.generation, at.segment, at.epoch, worker)
        return None if row is None else checkpoint_of(row, at.log_id, at.generation, at.segment, at.segments)

    async def release(self, view: str, at: Checkpoint) -> None:
        """Frees a segment, if it is still at the epoch of `at`."""
        await self._connection.execute(self._sql["release"], view, at.generation, at.segment, at.epoch)


def _workers(rows: Iterable[asyncpg.Record]) -> list[Worker]:
    return [Worker(id, frozenset(fingerprints), beat) for id, beat, fingerprints in rows]
