"""Keeping views in step with the log on PostgreSQL: in the transaction of an append, under the log's lock.

An append says which views it brings forward, and is refused where others are to be, so that nobody appends past a view.
Where there are none it is one statement, and nothing of this is used. Others wait for the lock as long as this takes,
so that round trips are what counts here: one for the segments of all views, and two for each view, its rows and back.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import asyncpg

from diptych.errors import ProjectionFailed, Unavailable
from diptych.log import RecordedEvent, StoredEvent
from diptych.read import NOTHING_WITHHELD, Checkpoint, Fold, Following, InStep, Registered, Withheld
from diptych.read.in_step import MOST_BEHIND, within_reach
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.append import Kept
from diptych.stores.postgres.bells import ViewBells, bell_name
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.generations import checkpoint_of
from diptych.stores.postgres.letters import Letters
from diptych.stores.postgres.projected import ADVANCE_BINDS, view_statements
from diptych.stores.postgres.rows import RowTable, find_rows
from diptych.stores.postgres.writing import Writing, write

OUT_OF_STEP = "DP001"
"""What an append is refused with that does not bring forward all that it should."""

MadeOf = Callable[[asyncpg.Record], StoredEvent | RecordedEvent]

KeptBy = Callable[[asyncpg.Record], Kept]
"""What is in the log now, by what the append's statement has given."""


class Held(NamedTuple):
    """The segments of a generation, of which nothing moves until the transaction ends."""

    view: str
    live: bool
    paused: bool
    checkpoints: Sequence[Checkpoint]


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
        self._followed: dict[str, Fold[Any]] = {}

    @property
    def following(self) -> list[str]:
        """The views that this process brings forward, as appends name them."""
        return [f"{view} {fold.shape.fingerprint}" for view, fold in self._followed.items()]

    async def look(self, connection: Connection) -> None:
        """Learns which views are kept in step. Raises Unavailable where this process cannot do that."""
        found = [Registered(*row) for row in await connection.fetch(self._sql["in_step"])]
        self._followed = {registered.view: self._folds.fold(registered) for registered in found}

    async def append(self, sql: str, binds: Sequence[Any], kept: KeptBy, connection: Connection) -> asyncpg.Record:
        """The append, and what follows it, all or nothing. Raises ProjectionFailed, Unavailable."""
        moved: list[Fold[Any]] = []
        async with connection.transaction():
            row = await connection.fetchrow(sql, *binds)
            assert row is not None  # noqa: S101 - a function that is called gives a row
            new = kept(row)
            if new.events:
                moved = await self._follow(connection, new)
        for fold in moved:
            self._bells.of(fold.shape).ring(new.end.position)
        return row

    async def _follow(self, connection: Connection, new: Kept) -> list[Fold[Any]]:
        """Brings what is within reach past the new events; the folds whose live generations have moved."""
        followed = self._followed
        held = await self._hold(connection, new.began - MOST_BEHIND)
        moved: list[Fold[Any]] = []
        for one in held:
            if one.paused or not within_reach(one.checkpoints, new.began):
                continue  # whoever has paused it wants it to be left behind
            fold = followed[one.view]
            if one.live:
                await self._bring(connection, fold, one, new)
                moved.append(fold)
            else:
                with suppress(ProjectionFailed):
                    async with connection.transaction():
                        await self._bring(connection, fold, one, new)
        if {one.view for one in held} != set(followed):  # one is not kept in step any more, or is gone
            await self.look(connection)
        return moved

    async def _hold(self, connection: Connection, near: int) -> list[Held]:
        views = list(self._followed)
        fingerprints = [fold.shape.fingerprint for fold in self._followed.values()]
        rows = await connection.fetch(self._sql["hold_in_step"], views, fingerprints, near)
        held = [_held(list(segments)) for _, segments in groupby(rows, itemgetter("name", "generation"))]
        return [one for one in held if len(one.checkpoints) == one.checkpoints[0].segments]

    async def _bring(self, connection: Connection, fold: Fold[Any], held: Held, new: Kept) -> None:
        for at in held.checkpoints:
            try:
                there = await self._step(connection, fold, at, new)
            except asyncpg.exceptions.UndefinedTableError:
                there = False
            if not there:
                name = fold.shape.name
                raise Unavailable(
                    f"The rows of view {name}, which is kept in step with the log, are gone: somebody has dropped "
                    f"their table. Have them filled anew: diptych projection rebuild {name}"
                )

    async def _step(self, connection: Connection, fold: Fold[Any], at: Checkpoint, new: Kept) -> bool:
        """Brings one segment to the log's end; False where its table is gone."""
        shape = fold.shape
        writing = self._writing(fold, at.generation)
        following = await self._following(connection, fold, at, new)
        keys = list(following.keys)
        rows = await find_rows(connection, writing.table, keys) if keys else {}
        bell = bell_name(shape) if at.segments == 1 else None
        where = (*new.end, shape.name, at.generation, at.segment, at.position, at.epoch, bell)
        try:
            statement, binds = writing.prepare(following.changes(rows))
            return await write(connection, statement, [*where, *binds]) is not None
        except ValueError as error:
            raise following.refusal(rows, error) from error

    async def _following(self, connection: Connection, fold: Fold[Any], at: Checkpoint, new: Kept) -> Following:
        missed = new.began - at.position
        events: Sequence[StoredEvent | RecordedEvent] = new.events
        if missed or fold.wants_records:
            sql, made = self._reading[fold.wants_records]
            rows = await connection.fetch(sql, at.position, missed + len(new.events))
            events = [made(row) for row in rows if row["position"] > at.position]
        held = NOTHING_WITHHELD
        if missed or at.parked:  # what an operator has had passed over may be among what was missed, and is nothing new
            letters = Letters(connection, self._sql, fold.shape.name)
            skips = frozenset([(skip.hold, skip.position) for skip in await letters.skips()])
            held = Withheld(await letters.holds(at), skips)
        return Following(fold, at, events, held)

    def _writing(self, fold: Fold[Any], number: int) -> Writing[Any]:
        key = (fold.shape.fingerprint, number)
        if key not in self._writings:
            table = RowTable(fold.shape, number, self._address.views_schema)
            self._writings[key] = Writing(table, self._sql["advance"], ADVANCE_BINDS)
        return self._writings[key]


def _held(rows: Sequence[asyncpg.Record]) -> Held:
    view, generation, live, paused, log_id, _, segments = rows[0][:7]
    checkpoints = [checkpoint_of(row[7:], log_id, generation, row["segment"], segments) for row in rows]
    return Held(view, live, paused, checkpoints)
