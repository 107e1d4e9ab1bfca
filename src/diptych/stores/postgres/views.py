"""Views on PostgreSQL, beside the log: typed columns, and a checkpoint in the statement that writes the rows."""

import time
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import asyncpg
import msgspec

from diptych.errors import NotCaughtUp, Unavailable
from diptych.log import BEGINNING, Anchor, Bell
from diptych.messages import View
from diptych.read import Checkpoint, Failure, Key, Snapshot, Superseded, ViewShape
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import UNSYNCED, Connection, Pool, milliseconds
from diptych.stores.postgres.listener import Listener
from diptych.stores.postgres.rows import RowTable, short
from diptych.stores.postgres.schema import check_schema
from diptych.stores.postgres.snapshot import ViewReaders, as_checkpoint, find_rows

V = TypeVar("V", bound=View)

WRITERS = 4
"""Connections that the projectors of one opening share."""

READERS = 8
"""Snapshots that one opening may hold at a time; further queries wait for one of them."""

LOCK_TIMEOUT = timedelta(seconds=5)
"""How long a view that begins anew waits for its turn, and for SQL on its former filling."""


DROP_TIMEOUT = timedelta(milliseconds=100)
"""How long a former filling waits for those who read it before it is left where it is."""


class ViewBells:
    """A bell for each view, shared by everything in this process that opens the same store."""

    def __init__(self) -> None:
        self._bells: dict[str, Bell] = {}

    def of(self, view: str) -> Bell:
        """The bell of a view."""
        return self._bells.setdefault(view, Bell())

    def begin_anew(self, view: str) -> None:
        """A view that starts at position 0 again: those who wait look for themselves."""
        if (old := self._bells.pop(view, None)) is not None:
            old.ring(2**63)


class PostgresViews:
    """See `diptych.read.ViewStore`. It belongs to the event loop that it was opened in."""

    def __init__(self, address: Address, bells: ViewBells) -> None:
        self._address = address
        self._bells = bells
        self._sql = address.statements("views.sql")
        self._tables: dict[tuple[str, int], RowTable[Any]] = {}
        self._epochs: dict[str, int] = {}  # the filling that was prepared here; a stale one is found out by the commit
        self._writers = Pool(address, "projector", WRITERS, UNSYNCED)
        readers = Pool(address, "query", READERS)
        self._reading = readers
        self._listener = Listener(address, self._writers, self._hear)
        self._readers = ViewReaders(address, readers, self._table)

    async def begin(self) -> None:
        """Looks whether the store is there and of this version. Raises Unavailable, NotAStore."""
        await self._writers.run(lambda connection: check_schema(connection, self._address))

    async def close(self) -> None:
        """Closes the connections."""
        await self._listener.close()
        await self._writers.close()
        await self._reading.close()

    # Writing: from the projectors' loop

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        async def work(connection: Connection) -> tuple[Checkpoint, int | None]:
            if (checkpoint := await self._ready(connection, shape, log_id)) is not None:
                return checkpoint, None
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {milliseconds(LOCK_TIMEOUT)}")
                await connection.fetchval(self._sql["take_turn"], shape.name)
                if (checkpoint := await self._ready(connection, shape, log_id)) is not None:
                    return checkpoint, None
                return await self._begin(connection, shape, log_id)

        checkpoint, former = await self._writers.run(work)
        self._epochs[shape.fingerprint] = checkpoint.epoch
        if checkpoint.position == 0 and former is not None:
            self._bells.begin_anew(shape.name)
            await self._drop(shape, former)
        return checkpoint

    async def _ready(self, connection: Connection, shape: ViewShape[Any], log_id: str) -> Checkpoint | None:
        known = await connection.fetchrow(self._sql["view"], shape.name)
        if known is None or known["fingerprint"] != shape.fingerprint or known["log_id"] != log_id:
            return None
        return as_checkpoint(known, shape)

    async def _begin(self, connection: Connection, shape: ViewShape[Any], log_id: str) -> tuple[Checkpoint, int]:
        former = max(await self._fillings(connection, shape), default=0)
        for statement in self._table(shape, former + 1).create():
            await connection.execute(statement)
        await connection.execute(self._sql["begin_view"], shape.name, shape.fingerprint, former + 1, log_id)
        return Checkpoint(log_id, BEGINNING, former + 1), former

    async def _drop(self, shape: ViewShape[Any], last: int) -> None:
        """Drops all former fillings. One that somebody still reads stays until the view begins anew the next time."""
        epochs = await self._writers.run(lambda connection: self._fillings(connection, shape))

        async def work(connection: Connection, epoch: int) -> None:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {milliseconds(DROP_TIMEOUT)}")
                await connection.execute(self._table(shape, epoch).drop())

        for epoch in [epoch for epoch in epochs if epoch <= last]:
            with suppress(Unavailable):
                await self._writers.run(partial(work, epoch=epoch))

    async def _fillings(self, connection: Connection, shape: ViewShape[Any]) -> list[int]:
        """The fillings whose tables are there, also of a view that was forgotten."""
        prefix = f"{short(shape.name)}_"
        names = await connection.fetch(self._sql["fillings"], self._address.views_schema, prefix)
        return [int(epoch) for (name,) in names if (epoch := name.removeprefix(prefix)).isdigit()]

    async def load(self, shape: ViewShape[V], keys: Collection[Key]) -> dict[Key, V]:
        epoch = self._epochs.get(shape.fingerprint)
        if epoch is None:
            raise Superseded(f"view {shape.name} was not prepared here")
        table: RowTable[V] = self._table(shape, epoch)

        async def work(connection: Connection) -> dict[Key, V]:
            try:
                return await find_rows(connection, table, list(keys))
            except asyncpg.exceptions.UndefinedTableError:
                raise Superseded(f"view {shape.name} was begun anew") from None

        return await self._writers.run(work)

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        table: RowTable[V] = self._table(shape, at.epoch)
        rows = [table.encode(row) for row in changes.values() if row is not None]
        gone = [table.encode_key(key) for key, row in changes.items() if row is None]
        sql, binds = table.commit(rows, gone)
        checkpoint = (upto.position, upto.event_id, shape.name, at.epoch, at.position)

        async def work(connection: Connection) -> int:
            try:
                return int(await connection.fetchval(sql, *checkpoint, *binds))
            except (asyncpg.exceptions.DataError, asyncpg.exceptions.IntegrityConstraintViolationError) as error:
                raise ValueError(f"the store cannot hold a row: {error}") from error
            except asyncpg.exceptions.UndefinedTableError:
                return 0  # the view was begun anew, and this filling of it is gone

        if await self._writers.run(work) != 1:
            raise Superseded(f"the checkpoint of {shape.name} is not at {at.position} any more")
        self._bells.of(shape.name).ring(upto.position)
        return Checkpoint(at.log_id, upto, at.epoch)

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        binds = (msgspec.json.encode(failure), shape.name, at.epoch, at.position)
        await self._writers.run(lambda connection: connection.execute(self._sql["fail"], *binds))
        self._bells.of(shape.name).ring(at.position)
        return at._replace(failure=failure)

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
            await bell.reached(position, min(left, poll))

    async def _may_have_reached(self, shape: ViewShape[Any], position: int) -> bool:
        row = await self._writers.run(lambda connection: connection.fetchrow(self._sql["view"], shape.name))
        if row is None:
            return False
        with suppress(NotCaughtUp):
            checkpoint = as_checkpoint(row, shape)
            return checkpoint.position >= position or checkpoint.failure is not None
        return False

    def _hear(self, word: str) -> None:
        what, _, rest = word.partition(" ")
        position, _, view = rest.partition(" ")
        if what == "view":
            self._bells.of(view).ring(int(position))

    def _table(self, shape: ViewShape[V], epoch: int) -> RowTable[V]:
        table = self._tables.get((shape.fingerprint, epoch))
        if table is None:
            table = RowTable(shape, epoch, self._address.views_schema, self._sql["advance"])
            self._tables[shape.fingerprint, epoch] = table
        return table
