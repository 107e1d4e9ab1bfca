"""Views on PostgreSQL, beside the log: typed columns, and a checkpoint in the statement that writes the rows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import asyncpg

from diptych.errors import NotCaughtUp, Unavailable
from diptych.log import Anchor, Bell
from diptych.messages import View
from diptych.read import Checkpoint, Failure, Generation, Key, Snapshot, Superseded, ViewShape
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import UNSYNCED, Connection, Pool, milliseconds
from diptych.stores.postgres.generations import Generations, Place, live_checkpoint
from diptych.stores.postgres.listener import Listener
from diptych.stores.postgres.rows import RowTable
from diptych.stores.postgres.schema import check_schema
from diptych.stores.postgres.snapshot import ViewReaders, find_rows

V = TypeVar("V", bound=View)

WRITERS = 4
"""Connections that the projectors of one opening share."""

READERS = 8
"""Snapshots that one opening may hold at a time; further queries wait for one of them."""

LOCK_TIMEOUT = timedelta(seconds=5)
"""How long a change of generations waits for its turn, and for SQL on the generation that answered before."""

DROP_TIMEOUT = timedelta(milliseconds=100)
"""How long the table of a generation that is gone waits for those who read it before it is left where it is."""

T = TypeVar("T")


class ViewBells:
    """A bell for each view, shared by everything in this process that opens the same store."""

    def __init__(self) -> None:
        self._bells: dict[str, Bell] = {}

    def of(self, view: str) -> Bell:
        """The bell of a view, rung for its live generation."""
        return self._bells.setdefault(view, Bell())

    def wake_all(self, view: str) -> None:
        """Another generation is live, or none goes on: those who wait look for themselves."""
        if (old := self._bells.pop(view, None)) is not None:
            old.ring(2**63)


class PostgresViews:
    """See `diptych.read.ViewStore`. It belongs to the event loop that it was opened in."""

    def __init__(self, address: Address, bells: ViewBells) -> None:
        self._address = address
        self._bells = bells
        self._sql = address.statements("views.sql")
        self._tables: dict[tuple[str, int], RowTable[Any]] = {}
        self._writers = Pool(address, "projector", WRITERS, UNSYNCED)
        readers = Pool(address, "query", READERS)
        self._reading = readers
        self._listener = Listener(address, self._writers, self._hear)
        self._readers = ViewReaders(address, readers, self._table)

    async def open(self) -> None:
        """Looks whether the store is there and of this version. Raises Unavailable, NotAStore."""
        await self._writers.run(lambda connection: check_schema(connection, self._address))

    async def close(self) -> None:
        """Closes the connections."""
        await self._listener.close()
        await self._writers.close()
        await self._reading.close()

    # Generations: from the projectors' loop, or an operator's

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        async def work(generations: Generations) -> Checkpoint | None:
            """The checkpoint of a live generation that fits, or None where another one went live."""
            found = await generations.all()
            fitting = [generation for generation in found if generation.fits(shape, log_id)]
            for generation in fitting:
                if generation.live:
                    return generation.checkpoint
            ready = fitting[0].checkpoint if fitting else await generations.add(log_id)
            await generations.go_live(ready.epoch)
            return None

        for found in await self.generations(shape):
            if found.live and found.fits(shape, log_id):
                return found.checkpoint
        if (checkpoint := await self._in_turn(shape, work)) is not None:
            return checkpoint
        self._bells.wake_all(shape.name)
        await self._drop(shape)
        return await self.prepare(shape, log_id)

    async def begin(self, shape: ViewShape[Any], log_id: str, *, anew: bool = False) -> Checkpoint:
        async def work(generations: Generations) -> Checkpoint:
            found = await generations.all()
            unfinished = [generation for generation in found if not generation.live]
            for generation in unfinished:
                if generation.fits(shape, log_id) and not anew:
                    return generation.checkpoint
            begun = await generations.add(log_id)
            for generation in unfinished:
                await generations.remove(generation.checkpoint.epoch)
            return begun

        begun = await self._in_turn(shape, work)
        await self._drop(shape)
        return begun

    async def switch(self, shape: ViewShape[Any], at: Checkpoint) -> bool:
        async def work(generations: Generations) -> bool:
            found = await generations.all()
            ready = next((generation for generation in found if generation.checkpoint.epoch == at.epoch), None)
            if ready is None or ready.checkpoint.paused:
                raise Superseded(f"generation {at.epoch} of {shape.name} is {'paused' if ready else 'gone'}")
            live = next((generation for generation in found if generation.live), None)
            if ready.live or not ready.may_replace(live):
                return ready.live
            await generations.go_live(at.epoch)
            return True

        switched = await self._in_turn(shape, work)
        self._bells.wake_all(shape.name)
        await self._drop(shape)
        return switched

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        return await self._writers.run(lambda connection: self._of(connection, shape).all())

    async def pause(self, shape: ViewShape[Any], since: str) -> str | None:
        before = await self._in_turn(shape, lambda generations: generations.pause(since))
        self._bells.wake_all(shape.name)
        return before

    async def resume(self, shape: ViewShape[Any]) -> str | None:
        return await self._in_turn(shape, lambda generations: generations.resume())

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        await self._in_turn(shape, lambda generations: generations.fail(at, failure))
        self._bells.wake_all(shape.name)
        return at._replace(failure=failure)

    def _of(self, connection: Connection, shape: ViewShape[Any]) -> Generations:
        return Generations(connection, Place(self._address.views_schema, self._sql, self._table), shape)

    async def _in_turn(self, shape: ViewShape[Any], change: Callable[[Generations], Awaitable[T]]) -> T:
        """The change in a transaction, alone among those who change the generations of the view."""

        async def work(connection: Connection) -> T:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {milliseconds(LOCK_TIMEOUT)}")
                generations = self._of(connection, shape)
                await generations.take_turn()
                return await change(generations)

        return await self._writers.run(work)

    async def _drop(self, shape: ViewShape[Any]) -> None:
        """Drops the tables of generations that are gone. One that somebody still reads stays until the next time."""
        epochs = await self._writers.run(lambda connection: self._of(connection, shape).tables())
        known = {generation.checkpoint.epoch for generation in await self.generations(shape)}
        newest = max(known, default=0)  # one that others have just begun may not be known yet

        async def work(connection: Connection, epoch: int) -> None:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {milliseconds(DROP_TIMEOUT)}")
                await connection.execute(self._table(shape, epoch).drop())

        for epoch in epochs:
            if epoch < newest and epoch not in known:
                with suppress(Unavailable):
                    await self._writers.run(partial(work, epoch=epoch))

    # Writing: from the projectors' loop

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        table: RowTable[V] = self._table(shape, at.epoch)

        async def work(connection: Connection) -> dict[Key, V]:
            if await connection.fetchval(self._sql["exists"], shape.name, at.epoch):
                with suppress(asyncpg.exceptions.UndefinedTableError):
                    return await find_rows(connection, table, list(keys))
            raise Superseded(f"generation {at.epoch} of {shape.name} is gone")

        return await self._writers.run(work)

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        table: RowTable[V] = self._table(shape, at.epoch)
        rows = [table.encode(row) for row in changes.values() if row is not None]
        gone = [table.encode_key(key) for key, row in changes.items() if row is None]
        sql, binds = table.commit(rows, gone)
        checkpoint = (upto.position, upto.event_id, shape.name, at.epoch, at.position)

        async def work(connection: Connection) -> bool | None:
            """Whether the generation is live, or None where its checkpoint did not move."""
            try:
                live: bool | None = await connection.fetchval(sql, *checkpoint, *binds)
            except (asyncpg.exceptions.DataError, asyncpg.exceptions.IntegrityConstraintViolationError) as error:
                raise ValueError(f"the store cannot hold a row: {error}") from error
            except asyncpg.exceptions.UndefinedTableError:
                return None
            return live

        live = await self._writers.run(work)
        if live is None:
            raise Superseded(f"generation {at.epoch} of {shape.name} is not at {at.position} any more, or paused")
        if live:
            self._bells.of(shape.name).ring(upto.position)
        return Checkpoint(at.log_id, upto, at.epoch)

    # Reading: from the loop of the queries

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self._readers.snapshot()

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        deadline = time.monotonic() + timeout.total_seconds()
        while True:
            poll, bell = (
                self._listener.poll,
                self._bells.of(shape.name),
            )  # first, so that no word after this look is lost
            if await self._may_have_reached(shape, position):
                return True
            left = timedelta(seconds=deadline - time.monotonic())
            if left <= timedelta(0):
                return False
            if bell.position < position:
                await bell.reached(position, min(left, poll))
            else:  # it was rung for a generation that others have replaced
                await asyncio.sleep(min(left, poll).total_seconds())

    async def _may_have_reached(self, shape: ViewShape[Any], position: int) -> bool:
        row = await self._writers.run(lambda connection: connection.fetchrow(self._sql["live"], shape.name))
        if row is None:
            return False
        with suppress(NotCaughtUp):
            checkpoint = live_checkpoint(row, shape)
            return checkpoint.position >= position or checkpoint.hindrance is not None
        return False

    def _hear(self, word: str) -> None:
        what, _, rest = word.partition(" ")
        if what == "view":
            position, _, view = rest.partition(" ")
            self._bells.of(view).ring(int(position))
        elif what == "wake":
            self._bells.wake_all(rest)

    def _table(self, shape: ViewShape[V], epoch: int) -> RowTable[V]:
        table = self._tables.get((shape.fingerprint, epoch))
        if table is None:
            table = RowTable(shape, epoch, self._address.views_schema, self._sql["advance"])
            self._tables[shape.fingerprint, epoch] = table
        return table
