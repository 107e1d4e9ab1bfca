"""Dead letters of a view on PostgreSQL: how they are parked, found, settled, and given to other segments.

Every function works on a connection, inside the transaction of whoever calls it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from diptych.read import Cause, Checkpoint, Held, Hold, Letter, Skip, segment_of
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.rows import loaded_text, stored_text


class Letters:
    """The letters of one view."""

    def __init__(self, connection: Connection, sql: Mapping[str, str], view: str) -> None:
        self._connection = connection
        self._sql = sql
        self._view = view

    async def park(self, at: Checkpoint, letters: Sequence[Letter]) -> int:
        """Parks letters in a segment that was moved in this transaction; gives how much is held back there now."""
        columns = [list(column) for column in zip(*[_stored(letter) for letter in letters], strict=True)]
        parked: int = await self._connection.fetchval(self._sql["park"], *self._segment(at), *columns)
        return parked

    async def holds(self, at: Checkpoint) -> AbstractSet[Hold]:
        """What is held back in a segment."""
        rows = await self._connection.fetch(self._sql["holds"], *self._segment(at))
        return frozenset([Hold(*row) for row in rows])

    async def first(self, generation: int, keys: Collection[str] | None, upto: int) -> Letter | None:
        """The first letter up to a position that holds back one of the keys, or any without."""
        place = (self._view, generation, upto)
        if keys is None:
            row = await self._connection.fetchrow(self._sql["held"], *place)
        else:
            row = await self._connection.fetchrow(self._sql["held_of"], *place, list(keys))
        return None if row is None else _loaded(row)[1]

    async def find(self, generation: int, hold: Hold | None, after: int, limit: int) -> list[tuple[int, Letter]]:
        """Letters of a hold, or of all, after a position, each with its segment."""
        place = (self._view, generation, after, limit)
        if hold is None:
            rows = await self._connection.fetch(self._sql["letters"], *place)
        else:
            rows = await self._connection.fetch(self._sql["letters_of"], *place, *hold)
        return [_loaded(row) for row in rows]

    async def count(self, generation: int, after: int, upto: int | None) -> int:
        """How many letters there are after a position, and up to another."""
        found: int = await self._connection.fetchval(self._sql["dead_letters"], self._view, generation, after, upto)
        return found

    async def held_back(self, generation: int, limit: int) -> list[Held]:
        """What is held back, in the order of the first letters."""
        rows = await self._connection.fetch(self._sql["held_back"], self._view, generation, limit)
        firsts = [(number, _loaded(letter)[1]) for number, *letter in rows]
        return [Held(first.hold, number, first) for number, first in firsts]

    async def settle(self, at: Checkpoint, hold: Hold, upto: int, left: Letter | None) -> None:
        """Forgets the letters of a hold up to a position, in a segment that has its next epoch; one stays as given."""
        await self._connection.execute(self._sql["forget"], *self._segment(at), *hold, upto)
        if left is not None:
            await self.park(at, [left])
        await self._recount(at.generation, [at.segment])

    async def deal(self, generation: int, segments: int) -> None:
        """Gives all letters to the segments that are there now, of so many."""
        keys = [key for (key,) in await self._connection.fetch(self._sql["keys"], self._view, generation)]
        numbers = [segment_of(key, segments) for key in keys]
        await self._connection.execute(self._sql["deal"], self._view, generation, keys, numbers)
        await self._connection.execute(self._sql["spread"], self._view, generation, segments)
        await self._recount(generation, range(segments))

    async def skip(self, skip: Skip) -> None:
        """Remembers an event that is to be passed over."""
        because = stored_text(skip.because)
        binds = (self._view, *skip.hold, skip.position, because, skip.at)
        await self._connection.execute(self._sql["skip"], *binds)

    async def skips(self) -> list[Skip]:
        """The events that are to be passed over, in order."""
        rows = await self._connection.fetch(self._sql["skips"], self._view)
        return [
            Skip(Hold(key, stream), position, loaded_text(because), at) for key, stream, position, because, at in rows
        ]

    async def _recount(self, generation: int, segments: Sequence[int]) -> None:
        await self._connection.execute(self._sql["recount"], self._view, generation, list(segments))

    def _segment(self, at: Checkpoint) -> tuple[str, int, int]:
        return self._view, at.generation, at.segment


def _stored(letter: Letter) -> Sequence[Any]:
    hold, position, type, parked_at, cause = letter
    return *hold, position, type, parked_at, None if cause is None else msgspec.json.encode(cause)


def _loaded(row: Iterable[Any]) -> tuple[int, Letter]:
    segment, key, stream, position, type, parked_at, cause = row
    why = None if cause is None else msgspec.json.decode(cause, type=Cause)
    return segment, Letter(Hold(key, stream), position, type, parked_at, why)
