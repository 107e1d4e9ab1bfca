"""Views on PostgreSQL, beside the log: typed columns, and a checkpoint in the statement that writes the rows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from diptych.errors import Unavailable
from diptych.log import Anchor
from diptych.messages import View
from diptych.read import (
    Changes,
    Checkpoint,
    Generation,
    Held,
    Hold,
    Letter,
    Pause,
    Registered,
    Skip,
    Snapshot,
    State,
    Superseded,
    TableChanges,
    TableShape,
    ViewShape,
    Worker,
    numbered,
)
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.bells import ViewBells
from diptych.stores.postgres.connection import Connection, Pool, milliseconds
from diptych.stores.postgres.generations import Generations, Place, fitting, live_of
from diptych.stores.postgres.leases import Leases
from diptych.stores.postgres.listener import Listener
from diptych.stores.postgres.projected import PostgresProjected
from diptych.stores.postgres.rows import dropped
from diptych.stores.postgres.schema import check_schema
from diptych.stores.postgres.snapshot import ViewReaders
from diptych.stores.postgres.writing import Writing, write

V = TypeVar("V", bound=View)
T = TypeVar("T")

READERS = 8
"""Snapshots that one opening may hold at a time; further queries wait for one of them."""

DROP_TIMEOUT = timedelta(milliseconds=100)
"""How long the table of a generation that is gone waits for those who read it before it is left where it is."""

_SETTLE_BINDS = 5


class PostgresViews(PostgresProjected):
    """See `diptych.read.ViewStore`. It belongs to the event loop that it was opened in."""

    def __init__(self, address: Address, bells: ViewBells) -> None:
        super().__init__(address, bells)
        self._reading = Pool(address, "query", READERS)
        self._readers = ViewReaders(address, self._reading, self._sql, self._table)
        self._listener = Listener(address, self._writers, bells.hear)

    async def open(self) -> None:
        """Looks whether the store is there and of this version. Raises Unavailable, NotAStore."""
        await self._writers.run(lambda connection: check_schema(connection, self._address))

    async def close(self) -> None:
        """Closes the connections."""
        await self._listener.close()
        await self._writers.close()
        await self._reading.close()

    # Generations

    async def prepare(self, shape: ViewShape[Any], log_id: str, segments: int = 1) -> Generation:
        wanted = (State.LIVE, State.FILLING)
        found = fitting(await self.generations(shape), shape, log_id, wanted)
        return found or await self._ready(shape, log_id, segments, wanted)

    async def begin(
        self,
        shape: ViewShape[Any],
        log_id: str,
        segments: int = 1,
        *,
        anew: bool = False,
        onto: Anchor | None = None,
    ) -> Generation:
        if onto is not None:
            return await self._onto(shape, log_id, segments, onto)
        return await self._ready(shape, log_id, segments, () if anew else (State.FILLING,))

    async def _ready(self, shape: ViewShape[Any], log_id: str, segments: int, wanted: Sequence[State]) -> Generation:
        """The one that fits in the first of these states; else an empty one, in the place of an unfinished one."""

        async def work(generations: Generations) -> Generation:
            there = await generations.all()
            if (found := fitting(there, shape, log_id, wanted)) is not None:
                return found
            return await generations.add(log_id, segments)

        ready = await self._in_turn(shape, work)
        await self._sweep(shape)
        return ready

    async def _onto(self, shape: ViewShape[Any], log_id: str, segments: int, onto: Anchor) -> Generation:
        async def work(connection: Connection) -> Generation:
            generations = self._of(connection, shape)
            await generations.take_turn()
            live = fitting(await generations.all(), shape, log_id, (State.LIVE,))
            if live is None:
                raise Superseded(f"{shape.name} has no live generation of this log to take the rows from")
            number = (await generations.add(log_id, segments, onto)).number
            await generations.copy(live.number, number, onto.position)
            await self._letters(connection, shape).deal(number, segments)
            return await generations.there(number)

        begun = await self._in_transaction(work)
        await self._sweep(shape)
        return begun

    async def complete(self, shape: ViewShape[Any], number: int) -> None:
        await self._writers.run(lambda connection: self._of(connection, shape).complete(number))

    async def switch(self, shape: ViewShape[Any], number: int, *, keep: bool = False) -> bool:
        async def work(generations: Generations) -> bool:
            own = [found for found in await generations.all() if found.fingerprint == shape.fingerprint]
            ready = numbered(own, number)
            if ready is None or ready.pause is not None:
                raise Superseded(f"generation {number} of {shape.name} is {'paused' if ready else 'gone'}")
            live = next((found for found in own if found.live), None)
            if ready.live or not ready.may_replace(live):
                return ready.live
            if live is not None:
                await (generations.keep if keep else generations.remove)(live.number)
            await generations.go_live(number)
            return True

        switched = await self._in_turn(shape, work)
        self._bells.wake_all(shape.name)
        await self._sweep(shape)
        return switched

    async def drop(self, shape: ViewShape[Any], number: int) -> bool:
        async def work(generations: Generations) -> bool:
            found = await generations.find(number)
            if found is not None and found.live and found.fingerprint == shape.fingerprint:
                raise Superseded(f"generation {number} of {shape.name} is live")
            if found is not None:
                await generations.drop(number)
            return found is not None

        dropped = await self._in_turn(shape, work)
        self._bells.wake_all(shape.name)
        await self._sweep(shape)
        return dropped

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        return await self._writers.run(lambda connection: self._of(connection, shape).all())

    async def resegment(self, shape: ViewShape[Any], at: Sequence[Checkpoint], segments: int) -> Generation:
        number = at[0].generation

        async def work(connection: Connection) -> Generation:
            generations = self._of(connection, shape)
            await generations.take_turn()
            await generations.stop()
            found = await generations.find(number)
            if found is None or not found.stands(at):
                raise Superseded(f"the segments of {shape.name}, generation {number}, are not as they were, or apart")
            await generations.divide(found, segments)
            await self._letters(connection, shape).deal(number, segments)
            return await generations.there(number)

        return await self._in_transaction(work)

    def _of(self, connection: Connection, shape: ViewShape[Any]) -> Generations:
        return Generations(connection, Place(self._address.views_schema, self._sql, self._table), shape)

    async def _in_turn(self, shape: ViewShape[Any], change: Callable[[Generations], Awaitable[T]]) -> T:
        """The change in a transaction, alone among those who change the generations of the view."""

        async def work(connection: Connection) -> T:
            generations = self._of(connection, shape)
            await generations.take_turn()
            await generations.stop()
            return await change(generations)

        return await self._in_transaction(work)

    async def _sweep(self, shape: ViewShape[Any]) -> None:
        """Drops the tables of generations that are gone. One that somebody still reads stays until the next time."""

        async def work(connection: Connection, tables: Collection[str]) -> None:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {milliseconds(DROP_TIMEOUT)}")
                await connection.execute(dropped(tables))

        for tables in await self._writers.run(lambda connection: self._of(connection, shape).leftovers()):
            with suppress(Unavailable):
                await self._writers.run(partial(work, tables=tables))

    # In step with the log

    async def join(self, shape: ViewShape[Any]) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(self._sql["stop_appends"])
            generations = self._of(connection, shape)
            await generations.take_turn()
            if not any(one.live and one.fingerprint == shape.fingerprint for one in await generations.all()):
                raise Superseded(f"{shape.name} has no live generation that could be kept in step")
            await connection.execute(self._sql["join"], shape.name, shape.fingerprint)

        await self._in_transaction(work)

    async def part(self, view: str) -> bool:
        parted = await self._in_transaction(lambda connection: connection.fetchval(self._sql["part"], view))
        return parted is not None

    async def in_step(self) -> Sequence[Registered]:
        rows = await self._writers.run(lambda connection: connection.fetch(self._sql["in_step"]))
        return [Registered(*row) for row in rows]

    # Leases

    async def beat(self, worker: Worker) -> Sequence[Worker]:
        return await self._writers.run(lambda connection: Leases(connection, self._sql).beat(worker))

    async def workers(self) -> Sequence[Worker]:
        return await self._writers.run(lambda connection: Leases(connection, self._sql).workers())

    async def expel(self, worker: str, beat: int) -> bool:
        return await self._writers.run(lambda connection: Leases(connection, self._sql).expel(worker, beat))

    async def leave(self, worker: str) -> None:
        await self._writers.run(lambda connection: Leases(connection, self._sql).leave(worker))

    async def take(self, shape: ViewShape[Any], at: Checkpoint, worker: str) -> Checkpoint:
        taken = await self._writers.run(lambda connection: Leases(connection, self._sql).take(shape.name, at, worker))
        if taken is None:
            raise Superseded(f"segment {at.segment} of {shape.name} is not free at epoch {at.epoch} any more")
        return taken

    async def release(self, shape: ViewShape[Any], at: Checkpoint) -> None:
        await self._writers.run(lambda connection: Leases(connection, self._sql).release(shape.name, at))

    # Dead letters

    async def letters(
        self, shape: ViewShape[Any], generation: int, hold: Hold | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, Letter]]:
        return await self._writers.run(
            lambda connection: self._letters(connection, shape).find(generation, hold, after, limit)
        )

    async def held_back(self, shape: ViewShape[Any], generation: int, limit: int = 1000) -> Sequence[Held]:
        return await self._writers.run(lambda connection: self._letters(connection, shape).held_back(generation, limit))

    async def settle(  # noqa: PLR0913, PLR0917 - what becomes of a hold, in one transaction
        self,
        shape: ViewShape[V],
        at: Checkpoint,
        hold: Hold,
        upto: int,
        changes: Changes[V],
        left: Letter | None = None,
        skip: Skip | None = None,
    ) -> None:
        sql, rows = self._settling(shape, at.generation, changes)
        position = at.position if hold.stream and not isinstance(shape, TableShape) else None
        binds = (shape.name, at.generation, at.segment, at.epoch, position, *rows)

        async def work(connection: Connection) -> None:
            await self._write_own(connection, shape, at, changes)
            if await write(connection, sql, binds) is None:
                raise Superseded(f"segment {at.segment} of {shape.name} is not where it was at epoch {at.epoch}")
            letters = self._letters(connection, shape)
            await letters.settle(at, hold, upto, left)
            if skip is not None:
                await letters.skip(skip)
            await self._of(connection, shape).wake()

        await self._in_transaction(work)
        self._bells.wake_all(shape.name)

    def _settling(self, shape: ViewShape[V], number: int, changes: Changes[V]) -> tuple[str, list[Any]]:
        """The statement that fences off the projector and writes rows, if there are any, with its binds for these."""
        sql = self._sql["settle"]
        if isinstance(changes, TableChanges) or isinstance(shape, TableShape):
            return sql, []
        return Writing(self._table(shape, number), sql, _SETTLE_BINDS).prepare(changes)

    async def skips(self, shape: ViewShape[Any]) -> Sequence[Skip]:
        return await self._writers.run(lambda connection: self._letters(connection, shape).skips())

    # Operators, and those who wait

    async def pause(self, shape: ViewShape[Any], pause: Pause) -> Pause | None:
        before = await self._in_turn(shape, lambda generations: generations.pause(pause))
        self._bells.wake_all(shape.name)
        return before

    async def resume(self, shape: ViewShape[Any]) -> Pause | None:
        return await self._in_turn(shape, lambda generations: generations.resume())

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self._readers.snapshot()

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        deadline = time.monotonic() + timeout.total_seconds()
        while True:
            poll, bell = self._listener.poll, self._bells.of(shape)
            rung = bell.position  # first, so that no word after this look is lost
            if await self._may_have_reached(shape, position):
                return True
            left = timedelta(seconds=deadline - time.monotonic())
            if left <= timedelta(0):
                return False
            if rung < position:
                if await bell.reached(position, min(left, poll)):
                    return True
            else:  # it was rung for a generation that others have replaced
                await asyncio.sleep(min(left, poll).total_seconds())

    async def _may_have_reached(self, shape: ViewShape[Any], position: int) -> bool:
        binds = (shape.name, shape.fingerprint)
        rows = await self._writers.run(lambda connection: connection.fetch(self._sql["live"], *binds))
        live = live_of(rows)
        return live is not None and (live.position >= position or live.hindrance is not None)
