"""Keeping views in step with the log on PostgreSQL: in the transaction of an append, under the log's lock.

An append says which views it brings forward, and is refused where others are to be, so that nobody appends past a view.
Where there are none it is one statement, and nothing of this is used.
"""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from diptych.errors import ProjectionFailed
from diptych.log import Anchor, RecordedEvent, StoredEvent
from diptych.read import Checkpoint, Fold, Following, Generation, InStep, Registered, Withheld
from diptych.read.in_step import MOST_BEHIND
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.bells import ViewBells, bell_name
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.generations import generations_of
from diptych.stores.postgres.letters import Letters
from diptych.stores.postgres.projected import ADVANCE_BINDS, view_statements
from diptych.stores.postgres.rows import RowTable, find_rows
from diptych.stores.postgres.writing import Writing, write

OUT_OF_STEP = "DP001"
"""What an append is refused with that does not bring forward all that it should."""

MadeOf = Callable[[asyncpg.Record], StoredEvent | RecordedEvent]


class KeptInStep:
    """Brings forward what is kept in step, with the folds that this process has.

    `events` and `records` are the statements that read from an event on, each with what makes an event of a row.
    """

    def __init__(
        self, address: Address, folds: InStep, bells: ViewBells, events: tuple[str, MadeOf], records: tuple[str, MadeOf]
    ) -> None:
        self._address = address
        self._folds = folds
        self._bells = bells
        self._reading = {False: events, True: records}
        self._sql = view_statements(address)
        self._writings: dict[tuple[str, int], Writing[Any]] = {}
        self._registered: list[Registered] = []

    @property
    def following(self) -> list[str]:
        """The views that this process brings forward, as appends name them."""
        return [f"{one.view} {one.fingerprint}" for one in self._registered]

    async def look(self, connection: Connection) -> None:
        """Learns which views are kept in step. Raises Unavailable where this process cannot do that."""
        found = [Registered(*row) for row in await connection.fetch(self._sql["in_step"])]
        for registered in found:
            self._folds.fold(registered)
        self._registered = found

    async def append(self, sql: str, binds: Sequence[Any], connection: Connection) -> asyncpg.Record:
        """The append, and what follows it, all or nothing. Raises ProjectionFailed, Unavailable."""
        async with connection.transaction():
            row = await connection.fetchrow(sql, *binds)
            assert row is not None  # noqa: S101 - a function that is called gives a row
            await self.look(connection)
            ends = [(one, await self._follow(connection, self._folds.fold(one))) for one in self._registered]
        for registered, end in ends:
            if end is not None:
                self._bells.of(self._folds.fold(registered).shape).ring(end)
        return row

    async def _follow(self, connection: Connection, fold: Fold[Any]) -> int | None:
        """Brings one view to the log's end, and says where that is; None where it is left behind."""
        live = await self._live(connection, fold)
        if live is None or live.pause is not None:  # whoever has paused it wants it to be left behind
            return None
        ends = [await self._step(connection, fold, at) for at in live.checkpoints]
        return min(ends)

    async def _live(self, connection: Connection, fold: Fold[Any]) -> Generation | None:
        """The live generation, of which nothing moves until the transaction ends."""
        shape = fold.shape
        await connection.fetch(self._sql["hold_live"], shape.name, shape.fingerprint)
        found = generations_of(await connection.fetch(self._sql["generations"], shape.name))
        return next((one for one in found if one.live and one.fingerprint == shape.fingerprint), None)

    async def _step(self, connection: Connection, fold: Fold[Any], at: Checkpoint) -> int:
        sql, made = self._reading[fold.wants_records]
        shape = fold.shape
        found = await connection.fetch(sql, at.position, MOST_BEHIND + 1)
        rows = [row for row in found if row["position"] > at.position]
        if not rows:
            return at.position
        events = [made(row) for row in rows]
        end = Anchor(rows[-1]["position"], rows[-1]["event_id"])
        following = Following(fold, at, events, await self._withheld(connection, fold, at))
        writing = self._writing(fold, at.generation)
        before = await find_rows(connection, writing.table, list(following.keys)) if following.steps else {}
        try:
            statement, binds = writing.prepare(following.changes(before))
            bell = bell_name(shape) if at.segments == 1 else None
            where = (*end, shape.name, at.generation, at.segment, at.position, at.epoch, bell)
            await write(connection, statement, [*where, *binds])
        except ValueError as error:
            raise ProjectionFailed(shape.name, events[-1].type, str(error)) from error
        return end.position

    async def _withheld(self, connection: Connection, fold: Fold[Any], at: Checkpoint) -> Withheld:
        letters = Letters(connection, self._sql, fold.shape.name)
        holds = await letters.holds(at) if at.parked else frozenset()
        return Withheld(holds, frozenset())  # what is passed over was parked before, and lies behind

    def _writing(self, fold: Fold[Any], number: int) -> Writing[Any]:
        key = (fold.shape.fingerprint, number)
        if key not in self._writings:
            table = RowTable(fold.shape, number, self._address.views_schema)
            self._writings[key] = Writing(table, self._sql["advance"], ADVANCE_BINDS)
        return self._writings[key]
