"""What a projector needs of views on PostgreSQL: rows are loaded, and written with what moves the checkpoint."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from diptych.errors import DiptychError, Unavailable
from diptych.log import Anchor
from diptych.messages import View
from diptych.read import (
    Changes,
    Checkpoint,
    Failure,
    Key,
    Letter,
    Superseded,
    TableChanges,
    TableShape,
    ViewShape,
    Withheld,
)
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.bells import ViewBells, bell_name
from diptych.stores.postgres.connection import UNSYNCED, Connection, Pool, milliseconds
from diptych.stores.postgres.letters import Letters
from diptych.stores.postgres.own_tables import OwnTables
from diptych.stores.postgres.rows import RowTable, load_rows
from diptych.stores.postgres.writing import Writing, write

V = TypeVar("V", bound=View)
T = TypeVar("T")

WRITERS = 4
"""Connections that the projectors of one opening share."""

LOCK_TIMEOUT = timedelta(seconds=5)
"""How long a change of generations waits for its turn, and for SQL on the generation that answered before."""

VIEW_FILES = ("views.sql", "leases.sql", "letters.sql")

ADVANCE_BINDS = 8


def view_statements(address: Address) -> Mapping[str, str]:
    """The statements about views, by name."""
    return {name: sql for file in VIEW_FILES for name, sql in address.statements(file).items()}


class PostgresProjected:
    """See `diptych.read.Projected`. It belongs to the event loop that it was opened in."""

    def __init__(self, address: Address, bells: ViewBells) -> None:
        self._address = address
        self._bells = bells
        self._sql = view_statements(address)
        self._writers = Pool(address, "projector", WRITERS, UNSYNCED)
        self._commits: dict[tuple[str, int], Writing[Any]] = {}
        self._owned: dict[tuple[str, int], OwnTables] = {}

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        table: RowTable[V] = self._table(shape, at.generation)

        async def work(connection: Connection) -> dict[Key, V]:
            rows = await load_rows(connection, table, keys, self._sql["exists"], shape.name, at.generation)
            if rows is None:
                raise await self._gone(connection, shape, at)
            return rows

        return await self._writers.run(work)

    async def commit(
        self,
        shape: ViewShape[V],
        changes: Changes[V],
        at: Checkpoint,
        upto: Anchor,
        letters: Sequence[Letter] = (),
    ) -> Checkpoint:
        sql, rows = self._moving(shape, at.generation, changes)
        bell = bell_name(shape) if at.segments == 1 else None
        binds = (*upto, shape.name, at.generation, at.segment, at.position, at.epoch, bell, *rows)

        async def move(connection: Connection) -> bool:
            """Whether the generation is live."""
            if (live := await write(connection, sql, binds)) is None:
                raise Superseded(
                    f"segment {at.segment} of generation {at.generation} of {shape.name} is not at {at.position} any "
                    "more, or paused"
                )
            return live

        async def work(connection: Connection) -> tuple[bool, int]:
            """Whether the generation is live, and how much is held back now."""
            if not letters and not isinstance(changes, TableChanges):
                return await move(connection), at.parked
            async with connection.transaction():
                await self._write_own(connection, shape, at, changes)
                live = await move(connection)
                return live, await self._letters(connection, shape).park(at, letters) if letters else at.parked

        live, parked = await self._writers.run(work)
        if live:
            await self._ring(shape, at, upto.position)
        return at._replace(anchor=upto, failure=None, parked=parked)

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        stored = msgspec.json.encode(failure)
        binds = (stored, shape.name, at.generation, at.segment, at.position, at.epoch)
        if not await self._writers.run(lambda connection: connection.fetch(self._sql["fail"], *binds)):
            raise Superseded(f"segment {at.segment} of {shape.name} is not at {at.position} any more")
        self._bells.wake_all(shape.name)
        return at._replace(failure=failure)

    async def withheld(self, shape: ViewShape[Any], at: Checkpoint) -> Withheld:
        async def work(connection: Connection) -> Withheld:
            if not await self._exists(connection, shape, at):
                raise _superseded(shape, at)
            letters = self._letters(connection, shape)
            skips = frozenset([(skip.hold, skip.position) for skip in await letters.skips()])
            return Withheld(await letters.holds(at), skips)

        return await self._writers.run(work)

    async def _ring(self, shape: ViewShape[Any], at: Checkpoint, position: int) -> None:
        """Wakes those who wait for what all segments have now. What is not rung here, they find by themselves."""
        lowest: int | None = position
        if at.segments > 1:  # in a statement of its own, which sees what others have committed at the same time
            binds = (shape.name, at.generation, at.position, bell_name(shape))
            lowest = None
            with suppress(Unavailable):
                lowest = await self._writers.run(lambda connection: connection.fetchval(self._sql["ring"], *binds))
        if lowest is not None:
            self._bells.of(shape).ring(lowest)

    async def _in_transaction(self, change: Callable[[Connection], Awaitable[T]]) -> T:
        """A change that is made for an operator, or seldom: it is on the disk when this returns."""

        async def work(connection: Connection) -> T:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {milliseconds(LOCK_TIMEOUT)}")
                await connection.execute("SET LOCAL synchronous_commit = on")
                return await change(connection)

        return await self._writers.run(work)

    async def _gone(self, connection: Connection, shape: ViewShape[Any], at: Checkpoint) -> DiptychError | Superseded:
        """Why a generation's rows are not there: it is gone, or only its table is."""
        if not await self._exists(connection, shape, at):
            return _superseded(shape, at)
        return Unavailable(
            f"the table of generation {at.generation} of {shape.name} was dropped from the database; have it filled "
            f"anew: diptych projection rebuild {shape.name}"
        )

    async def _exists(self, connection: Connection, shape: ViewShape[Any], at: Checkpoint) -> bool:
        return bool(await connection.fetchval(self._sql["exists"], shape.name, at.generation))

    def _letters(self, connection: Connection, shape: ViewShape[Any]) -> Letters:
        return Letters(connection, self._sql, shape.name)

    def _moving(self, shape: ViewShape[V], number: int, changes: Changes[V]) -> tuple[str, list[Any]]:
        """The statement that moves a segment and writes rows, if there are any, with its binds for these."""
        if isinstance(changes, TableChanges) or isinstance(shape, TableShape):
            return self._sql["advance"], []
        return self._commit_of(shape, number).prepare(changes)

    async def _write_own(
        self, connection: Connection, shape: ViewShape[Any], at: Checkpoint, changes: Changes[Any]
    ) -> None:
        """Has handlers write the tables of a projection's own, if that is what the changes are."""
        if isinstance(changes, TableChanges) and isinstance(shape, TableShape):
            await self._own_tables(shape, at.generation).write(connection, self._sql, at, changes)

    def _own_tables(self, shape: TableShape, number: int) -> OwnTables:
        tables = self._owned.get((shape.fingerprint, number))
        if tables is None:
            tables = OwnTables(shape, number, self._address.views_schema)
            self._owned[shape.fingerprint, number] = tables
        return tables

    def _commit_of(self, shape: ViewShape[V], number: int) -> Writing[V]:
        writing = self._commits.get((shape.fingerprint, number))
        if writing is None:
            table = RowTable(shape, number, self._address.views_schema)
            writing = self._commits[shape.fingerprint, number] = Writing(table, self._sql["advance"], ADVANCE_BINDS)
        return writing

    def _table(self, shape: ViewShape[V], number: int) -> RowTable[V]:
        return self._commit_of(shape, number).table


def _superseded(shape: ViewShape[Any], at: Checkpoint) -> Superseded:
    return Superseded(f"generation {at.generation} of {shape.name} is gone")
