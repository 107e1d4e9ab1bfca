"""The snapshots of streams on PostgreSQL, in a table beside the log's, so that one round trip brings all of a load.

Their connections are their own: what is made in the background never waits with what a command waits for.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from diptych.log import Anchor, Restored, Snapshot, StoredEvent, stream_range
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import BY_INDEX, UNSYNCED, Pool
from diptych.stores.postgres.loads import ROUNDS, Loads

WRITERS = 1
"""Connections to keep and delete with."""

PLANNED_ONCE: Mapping[str, str] = {"plan_cache_mode": "force_generic_plan"}
"""For a statement whose one good plan takes longer to find than to carry out."""


class Wanted(NamedTuple):
    """A stream, from its snapshot of this shape on."""

    stream: str
    shape: str


class PostgresSnapshots:
    """See `diptych.log.SnapshotStore` for what it promises. It belongs to the event loop that it was opened in."""

    def __init__(self, address: Address) -> None:
        self._sql = address.statements("snapshots.sql")
        self._readers = Pool(address, "loader", ROUNDS, {**BY_INDEX, **PLANNED_ONCE})
        self._writers = Pool(address, "snapshots", WRITERS, UNSYNCED)
        self._loads = Loads(self._restore_many, lambda _: Restored(None, (), 0))

    async def close(self) -> None:
        """Waits for the loads in flight, then closes the connections."""
        await self._loads.close()
        await self._readers.close()
        await self._writers.close()

    async def restore(self, stream: str, shape: str) -> Restored:
        return await self._loads.load(Wanted(stream, shape))

    async def _restore_many(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, Restored]:
        if len(wanted) == 1:
            rows = await self._fetch("restore", *wanted[0])
            return {wanted[0]: _restored(wanted[0], rows)} if rows else {}
        streams, shapes = zip(*wanted, strict=True)
        found: defaultdict[Wanted, list[asyncpg.Record]] = defaultdict(list)
        for row in await self._fetch("restore_many", streams, shapes):
            found[wanted[row["number"] - 1]].append(row)
        return {one: _restored(one, of_one) for one, of_one in found.items()}

    async def _fetch(self, statement: str, *values: object) -> Sequence[asyncpg.Record]:
        return await self._readers.run(lambda connection: connection.fetch(self._sql[statement], *values))

    async def keep(self, snapshot: Snapshot) -> None:
        stream, version, (position, event_id), shape, data = snapshot
        await self._writers.run(
            lambda connection: connection.execute(self._sql["keep"], stream, version, position, event_id, shape, data)
        )

    async def delete(self, category: str) -> int:
        first, end = stream_range(category)
        return int(await self._writers.run(lambda connection: connection.fetchval(self._sql["delete"], first, end)))


def _restored(wanted: Wanted, rows: Sequence[asyncpg.Record]) -> Restored:
    """A stream's versions are 1, 2, 3, …, so its version follows from the number of its events."""
    snapshot = None
    first = rows[0]
    if first["event_id"] is not None:
        upto = Anchor(first["position"], first["event_id"])
        snapshot, rows = Snapshot(wanted.stream, first["version"], upto, wanted.shape, first["data"]), rows[1:]
    events = [StoredEvent(*row[:5]) for row in rows]
    return Restored(snapshot, events, (0 if snapshot is None else snapshot.version) + len(events))
