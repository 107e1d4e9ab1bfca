"""The generations of a view on PostgreSQL: which there are, and how one comes, goes live and goes.

Every function works on a connection, inside the transaction of whoever calls it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import asyncpg
import msgspec

from diptych.log import BEGINNING, Anchor
from diptych.read import Checkpoint, Failure, Generation, Pause, State, TableShape, ViewShape, numbered
from diptych.stores.postgres.connection import Connection, at_length
from diptych.stores.postgres.own_tables import create
from diptych.stores.postgres.rows import RowTable, short, sql_view
from diptych.stores.rows import quoted

_NUMBERED = re.compile(r"(?P<number>[0-9]+)(\$(?P<own>\w+))?")

Tables = Callable[[ViewShape[Any], int], RowTable[Any]]


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
        """All of them, in order of their numbers."""
        return generations_of(await self._connection.fetch(self._sql["generations"], self._shape.name))

    async def find(self, number: int) -> Generation | None:
        """The generation of a number."""
        return numbered(await self.all(), number)

    async def there(self, number: int) -> Generation:
        """The generation of a number that is known to be there."""
        return next(found for found in await self.all() if found.number == number)

    async def take_turn(self) -> None:
        """Keeps others from changing them until the transaction ends."""
        await self._connection.fetchval(self._sql["take_turn"], self._shape.name)

    async def stop(self) -> None:
        """Keeps their segments from moving until the transaction ends."""
        await self._connection.execute(self._sql["stop"], self._shape.name)

    async def tables(self) -> dict[int, dict[str, str]]:
        """The tables that are there, also of generations that are gone or forgotten, by the names that SQL uses.

        A generation has one of the view's name, or those of a projection's own, whose names come behind a `$`.
        """
        prefix = f"{short(self._shape.name)}_"
        found: dict[int, dict[str, str]] = {}
        for (name,) in await self._connection.fetch(self._sql["tables"], self._place.schema, prefix):
            if (parts := _NUMBERED.fullmatch(name.removeprefix(prefix))) is not None:
                shown = parts["own"] or self._shape.name
                found.setdefault(int(parts["number"]), {})[shown] = f"{quoted(self._place.schema)}.{quoted(name)}"
        return found

    async def leftovers(self) -> list[Collection[str]]:
        """The tables of each generation that is gone."""
        tables = await self.tables()  # first: a table is never there before its generation
        known = {generation.number for generation in await self.all()}
        return [own.values() for number, own in tables.items() if number not in known]

    async def add(self, log_id: str, segments: int, anchor: Anchor = BEGINNING) -> Generation:
        """A generation without rows, that stands at an event, in the place of an unfinished one."""
        name, fingerprint = self._shape.name, self._shape.fingerprint
        for found in await self.all():
            if found.fingerprint == fingerprint and found.state is State.FILLING:
                await self.remove(found.number)
        highest = max(await self.tables(), default=0)
        number: int = await self._connection.fetchval(self._sql["next_number"], name, highest)
        await create(self._connection, self._shape, number, self._place.schema)
        await self._connection.execute(self._sql["add"], name, number, fingerprint, log_id)
        await self._connection.execute(self._sql["divide"], name, number, segments, 1, *anchor, None)
        return await self.there(number)

    async def remove(self, number: int) -> None:
        """A generation is gone. Its table goes later: somebody may still read it."""
        await self._connection.execute(self._sql["stop_one"], self._shape.name, number)
        await self._connection.execute(self._sql["remove"], self._shape.name, number)

    async def copy(self, source: int, number: int, upto: int) -> None:
        """A new generation has the rows of another of its shape, and the letters up to a position, as of one moment.

        The segments of the other one go on moving meanwhile.
        """
        rows = self._place.tables(self._shape, number).copy_from(self._place.tables(self._shape, source))
        sql = f"WITH rows AS ({rows}) {self._sql['copy_letters']}"
        await at_length(self._connection, sql, self._shape.name, source, upto, number)

    async def complete(self, number: int) -> None:
        """A generation has its indexes, if it is there. Of several who make them, one does, and the others wait.

        Tables of a projection's own have had theirs all along.
        """
        if isinstance(self._shape, TableShape):
            return
        with suppress(asyncpg.exceptions.UndefinedTableError):
            async with self._connection.transaction():
                await at_length(self._connection, self._sql["complete_turn"], self._shape.name, number)
                for statement in self._place.tables(self._shape, number).complete():
                    await at_length(self._connection, statement)

    async def go_live(self, number: int) -> None:
        """A generation answers, when the one before is kept or gone."""
        await self._change_state(number, State.LIVE)
        await self._show(number)
        await self.wake()

    async def keep(self, number: int) -> None:
        """A generation stays, and answers no more."""
        await self._change_state(number, State.KEPT)

    async def drop(self, number: int) -> None:
        """A generation is gone, live or not; the SQL view shows another live one, if there is one."""
        await self.remove(number)
        if number == await self._connection.fetchval(self._sql["shown"], self._shape.name):
            await self._show(max([found.number for found in await self.all() if found.live], default=None))
        await self.wake()

    async def divide(self, found: Generation, segments: int) -> None:
        """A generation whose segments are all at one position has so many of them now. If it is astray, it stays so."""
        name, number = self._shape.name, found.number
        epoch = max([checkpoint.epoch for checkpoint in found.checkpoints]) + 1
        failure = next((checkpoint.failure for checkpoint in found.checkpoints if checkpoint.astray), None)
        stored = None if failure is None else msgspec.json.encode(failure)
        place = (epoch, *found.checkpoints[0].anchor, stored)
        await self._connection.execute(self._sql["unite"], name, number)
        await self._connection.execute(self._sql["divide"], name, number, segments, *place)

    async def pause(self, pause: Pause) -> Pause | None:
        """Refuses the commits of the view. Gives the pause that there was, which stays."""
        before = await self._paused()
        if before is None:
            await self._connection.execute(self._sql["pause"], self._shape.name, msgspec.json.encode(pause))
            await self._connection.execute(self._sql["hold"], self._shape.name, True)  # noqa: FBT003 - a bind value
            await self.wake()
        return before

    async def resume(self) -> Pause | None:
        """Takes the commits of the view again. Gives the pause that there was, None if there was none."""
        before = await self._paused()
        await self._connection.execute(self._sql["resume"], self._shape.name)
        await self._connection.execute(self._sql["hold"], self._shape.name, False)  # noqa: FBT003 - a bind value
        return before

    async def wake(self) -> None:
        """Has everyone look again who waits for the view, when the transaction is over."""
        await self._connection.fetchval(self._sql["wake"], self._shape.name)

    async def _change_state(self, number: int, state: State) -> None:
        await self._connection.execute(self._sql["change_state"], self._shape.name, number, state.value)

    async def _show(self, number: int | None) -> None:
        """Puts the SQL view of the view's own name, or those of its tables' names, on the tables of a generation."""
        tables = await self.tables()
        before = await self._connection.fetchval(self._sql["shown"], self._shape.name)
        for name in tables.get(before, ()):
            await self._show_as(name, None)
        for name, table in tables.get(number or 0, {}).items():
            await self._show_as(name, table)
        await self._connection.execute(self._sql["note_shown"], self._shape.name, number)

    async def _show_as(self, name: str, table: str | None) -> None:
        columns = [] if table is None else await self._connection.fetch(self._sql["columns"], table)
        for statement in sql_view(self._place.schema, name, table, [column for (column,) in columns]):
            await self._connection.execute(statement)

    async def _paused(self) -> Pause | None:
        return _pause(await self._connection.fetchval(self._sql["paused"], self._shape.name))


def fitting(
    there: Sequence[Generation], shape: ViewShape[Any], log_id: str, wanted: Sequence[State]
) -> Generation | None:
    """The generation that fits in the first of these states that there is one in."""
    by_state = {found.state: found for found in there if found.fits(shape, log_id)}
    return next((by_state[state] for state in wanted if state in by_state), None)


def generations_of(rows: Iterable[asyncpg.Record]) -> list[Generation]:
    """The generations of which these are the rows, one for each segment, in order."""
    return [_generation(list(segments)) for _, segments in groupby(rows, key=itemgetter("generation"))]


def live_of(rows: Iterable[asyncpg.Record]) -> Generation | None:
    """The generation of which these are the rows, one for each segment, in any order; None for none."""
    ordered = sorted(rows, key=itemgetter("segment"))
    return _generation(ordered) if ordered else None


def checkpoint_of(row: Iterable[Any], log_id: str, generation: int, segment: int, segments: int) -> Checkpoint:
    """The checkpoint that a row has, with its columns from `epoch` on."""
    epoch, position, event_id, owner, parked, failure = row
    failed = None if failure is None else msgspec.json.decode(failure, type=Failure)
    anchor = Anchor(position, event_id)
    return Checkpoint(log_id, generation, segment, segments, epoch, anchor, owner, parked, failed)


def _generation(rows: list[asyncpg.Record]) -> Generation:
    number, fingerprint, log_id, state, pause = rows[0][:5]
    checkpoints = [checkpoint_of(row[6:], log_id, number, segment, len(rows)) for segment, row in enumerate(rows)]
    return Generation(number, fingerprint, log_id, State(state), checkpoints, _pause(pause))


def _pause(stored: bytes | None) -> Pause | None:
    return None if stored is None else msgspec.json.decode(stored, type=Pause)
