"""The generations of a view on PostgreSQL: which there are, and how one comes, goes live and goes.

Every function works on a connection, inside the transaction of whoever calls it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import asyncpg
import msgspec

from diptych.errors import NotCaughtUp
from diptych.log import Anchor
from diptych.read import Checkpoint, Failure, Generation, ViewShape
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.rows import RowTable, short

Tables = Callable[[ViewShape[Any], int], RowTable[Any]]


def live_checkpoint(row: asyncpg.Record, shape: ViewShape[Any]) -> Checkpoint:
    """Where the live generation stands, of which this is the row. Raises NotCaughtUp for one of another shape."""
    generation = _generation(row)
    if generation.fingerprint != shape.fingerprint:
        position = generation.checkpoint.position
        raise NotCaughtUp(
            shape.name, position, position, "another version of the code, with another shape of it, fills it"
        )
    return generation.checkpoint


class Place(NamedTuple):
    """What all views of a store share: the schema of their tables, the statements about them, what names a table."""

    schema: str
    sql: Mapping[str, str]
    tables: Tables


class Generations:
    """The generations of one view, for whoever may change them."""

    def __init__(self, connection: Connection, place: Place, shape: ViewShape[Any]) -> None:
        self._connection = connection
        self._place = place
        self._sql = place.sql
        self._shape = shape

    async def all(self) -> list[Generation]:
        """All of them, in order of their epochs."""
        rows = await self._connection.fetch(self._sql["generations"], self._shape.name)
        return [_generation(row) for row in rows]

    async def take_turn(self) -> None:
        """Keeps others from changing them until the transaction ends."""
        await self._connection.fetchval(self._sql["take_turn"], self._shape.name)

    async def tables(self) -> list[int]:
        """The epochs of the tables that are there, also of generations that are gone or forgotten."""
        prefix = f"{short(self._shape.name)}_"
        names = await self._connection.fetch(self._sql["tables"], self._place.schema, prefix)
        epochs = [name.removeprefix(prefix) for (name,) in names]
        return [int(epoch) for epoch in epochs if epoch.isdigit()]

    async def add(self, log_id: str) -> Checkpoint:
        """An empty generation beside the others."""
        shape = self._shape
        epoch = max([*await self.tables(), *[found.checkpoint.epoch for found in await self.all()]], default=0) + 1
        for statement in self._place.tables(shape, epoch).create():
            await self._connection.execute(statement)
        await self._connection.execute(self._sql["add"], shape.name, epoch, shape.fingerprint, log_id)
        return next(found.checkpoint for found in await self.all() if found.checkpoint.epoch == epoch)

    async def remove(self, epoch: int) -> None:
        """A generation is gone. Its table goes later: somebody may still read it."""
        await self._connection.execute(self._sql["remove"], self._shape.name, epoch)

    async def go_live(self, epoch: int) -> None:
        """A generation answers, and the others are gone."""
        for generation in await self.all():
            if generation.checkpoint.epoch != epoch:
                await self.remove(generation.checkpoint.epoch)
        await self._connection.execute(self._sql["go_live"], self._shape.name, epoch)
        for statement in self._place.tables(self._shape, epoch).show():
            await self._connection.execute(statement)
        await self.wake()

    async def pause(self, since: str) -> str | None:
        """Refuses the commits of the view. Gives since when that was so, None if it was not."""
        before = await self._paused()
        if before is None:
            await self._connection.execute(self._sql["pause"], self._shape.name, since)
            await self._connection.execute(self._sql["hold"], self._shape.name, True)  # noqa: FBT003 - a bind value
            await self.wake()
        return before

    async def resume(self) -> str | None:
        """Takes the commits of the view again. Gives since when it was paused, None if it was not."""
        before = await self._paused()
        await self._connection.execute(self._sql["resume"], self._shape.name)
        await self._connection.execute(self._sql["hold"], self._shape.name, False)  # noqa: FBT003 - a bind value
        return before

    async def fail(self, at: Checkpoint, failure: Failure) -> None:
        """Keeps why the projection stands still."""
        binds = (msgspec.json.encode(failure), self._shape.name, at.epoch, at.position)
        await self._connection.execute(self._sql["fail"], *binds)
        await self.wake()

    async def wake(self) -> None:
        """Has everyone look again who waits for the view, when the transaction is over."""
        await self._connection.fetchval(self._sql["wake"], self._shape.name)

    async def _paused(self) -> str | None:
        since = await self._connection.fetchval(self._sql["paused"], self._shape.name)
        return None if since is None else str(since)


def _generation(row: asyncpg.Record) -> Generation:
    fingerprint, live, epoch, log_id, position, event_id, failure, paused = row
    failed = None if failure is None else msgspec.json.decode(failure, type=Failure)
    return Generation(fingerprint, live, Checkpoint(log_id, Anchor(position, event_id), epoch, failed, paused))
