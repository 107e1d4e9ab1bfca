"""Views in an SQLite file beside the log: one writer, typed columns, a checkpoint in the transaction of the rows."""

import asyncio
import sqlite3
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from diptych.errors import NotAStore
from diptych.log import Anchor
from diptych.messages import View
from diptych.read import (
    Changes,
    Checkpoint,
    Failure,
    Generation,
    Held,
    Hold,
    Key,
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
    Withheld,
    Worker,
)
from diptych.stores.sqlite import filling, leases
from diptych.stores.sqlite.bells import ViewBells
from diptych.stores.sqlite.checkpoints import SQL, advance, fail, lowest
from diptych.stores.sqlite.connection import (
    Explained,
    FileKind,
    begin_immediate,
    open_writer,
    roll_back,
)
from diptych.stores.sqlite.dropped import Sweeper
from diptych.stores.sqlite.files import IN_STEP_FILE, VIEWS_FILE
from diptych.stores.sqlite.generations import (
    answering,
    drop,
    find,
    generations,
    go_live,
    of_shape,
    paused,
)
from diptych.stores.sqlite.letters import held_back, letters, park, settle, skips, withheld
from diptych.stores.sqlite.own_tables import OwnTables, TableWriting
from diptych.stores.sqlite.rows import RowChanges, RowTable
from diptych.stores.sqlite.snapshot import ViewReaders, find_rows

V = TypeVar("V", bound=View)

POLL_FIRST = timedelta(milliseconds=1)
POLL_MOST = timedelta(milliseconds=20)
"""How often a waiting query looks for what a projector of another process has done: less and less often."""


class SqliteViews:
    """See `diptych.read.ViewStore`. It belongs to the event loop that it was opened in."""

    def __init__(self, path: Path, bells: ViewBells, kind: FileKind = VIEWS_FILE) -> None:
        self._path = path
        self._kind = kind
        self._explained = Explained(path, kind.damaged)
        self._bells = bells
        self._tables: dict[tuple[str, int], RowTable[Any]] = {}
        self._owned: dict[tuple[str, int], OwnTables] = {}
        try:
            self._writer = open_writer(path, kind)
        except NotAStore as error:
            raise NotAStore(f"{error.detail} If it held views, {kind.damaged}.") from error
        self._sweeper = Sweeper(self._writer, self._transaction)
        self._readers = ViewReaders(path, self._table, lambda: bells.changes, kind.damaged)

    async def close(self) -> None:
        """Closes the file."""
        await self._sweeper.close()
        self._readers.close()
        self._writer.close()

    # Generations

    async def prepare(self, shape: ViewShape[Any], log_id: str, segments: int = 1) -> Generation:
        with self._transaction() as writer:
            ready = filling.prepare(writer, shape, log_id, segments)
        self._sweeper.sweep()
        return ready

    async def begin(
        self,
        shape: ViewShape[Any],
        log_id: str,
        segments: int = 1,
        *,
        anew: bool = False,
        onto: Anchor | None = None,
    ) -> Generation:
        with self._transaction() as writer:
            if onto is None:
                begun = filling.begin(writer, shape, log_id, segments, anew=anew)
            else:
                begun = filling.begin_onto(writer, shape, log_id, segments, onto)
        self._sweeper.sweep()
        return begun

    async def complete(self, shape: ViewShape[Any], number: int) -> None:
        with self._transaction() as writer:
            filling.complete(writer, shape, number)

    async def switch(self, shape: ViewShape[Any], number: int, *, keep: bool = False) -> bool:
        with self._transaction() as writer:
            ready = find(writer, shape.name, number)
            if ready is None or ready.fingerprint != shape.fingerprint or ready.pause is not None:
                raise Superseded(f"generation {number} of {shape.name} is {'gone' if ready is None else 'paused'}")
            live = of_shape(writer, shape, State.LIVE)
            if ready.live or not ready.may_replace(live):
                return ready.live
            filling.complete(writer, shape, number)
            go_live(writer, shape.name, ready, live, keep=keep)
        self._bells.wake_all(shape.name)
        self._sweeper.sweep()
        return True

    async def drop(self, shape: ViewShape[Any], number: int) -> bool:
        with self._transaction() as writer:
            found = find(writer, shape.name, number)
            if found is None:
                return False
            if found.live and found.fingerprint == shape.fingerprint:
                raise Superseded(f"generation {number} of {shape.name} is live")
            drop(writer, shape.name, number)
        self._bells.wake_all(shape.name)
        self._sweeper.sweep()
        return True

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        with self._explained:
            return generations(self._writer, shape.name)

    async def resegment(self, shape: ViewShape[Any], at: Sequence[Checkpoint], segments: int) -> Generation:
        with self._transaction() as writer:
            return filling.divide(writer, shape, at, segments)

    # In step with the log

    async def join(self, shape: ViewShape[Any]) -> None:
        with self._transaction() as writer:
            if of_shape(writer, shape, State.LIVE) is None:
                raise Superseded(f"{shape.name} has no live generation that could be kept in step")
            writer.execute(SQL["join"], (shape.name, shape.fingerprint))

    async def part(self, view: str) -> bool:
        with self._transaction() as writer:
            parted = writer.execute(SQL["part"], (view,)).fetchall() != []
            for generation in generations(writer, view) if parted else ():  # it has its rows in the other file
                drop(writer, view, generation.number)
        self._bells.wake_all(view)
        self._sweeper.sweep()
        return parted

    async def in_step(self) -> Sequence[Registered]:
        with self._explained:
            rows = self._writer.execute(SQL["in_step"]).fetchall() if self._kind is IN_STEP_FILE else []
        return [Registered(*row) for row in rows]

    # Leases

    async def beat(self, worker: Worker) -> Sequence[Worker]:
        with self._transaction() as writer:
            return leases.beat(writer, worker)

    async def workers(self) -> Sequence[Worker]:
        with self._explained:
            return leases.workers(self._writer)

    async def expel(self, worker: str, beat: int) -> bool:
        with self._transaction() as writer:
            return leases.expel(writer, worker, beat)

    async def leave(self, worker: str) -> None:
        with self._transaction() as writer:
            leases.leave(writer, worker)

    async def take(self, shape: ViewShape[Any], at: Checkpoint, worker: str) -> Checkpoint:
        with self._transaction() as writer:
            return leases.take(writer, shape.name, at, worker)

    async def release(self, shape: ViewShape[Any], at: Checkpoint) -> None:
        with self._transaction() as writer:
            leases.release(writer, shape.name, at)

    # Writing

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        with self._explained:
            try:
                return find_rows(self._writer, self._table(shape, at.generation), list(keys))
            except sqlite3.OperationalError as error:
                if find(self._writer, shape.name, at.generation) is None:
                    raise Superseded(f"generation {at.generation} of {shape.name} is gone") from error
                raise

    async def commit(
        self,
        shape: ViewShape[V],
        changes: Changes[V],
        at: Checkpoint,
        upto: Anchor,
        letters: Sequence[Letter] = (),
    ) -> Checkpoint:
        rows = self._changes(shape, at.generation, changes)
        with self._transaction() as writer:
            live = advance(writer, shape.name, at, upto)
            parked = park(writer, shape.name, at, letters) if letters else at.parked
            rows.write(writer)
            reached = upto.position if at.segments == 1 else lowest(writer, shape.name, at.generation)
        if live:
            self._bells.of(shape.name).ring(reached)
        return at._replace(anchor=upto, parked=parked, failure=None)

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        with self._transaction() as writer:
            fail(writer, shape.name, at, failure)
        self._bells.wake_all(shape.name)
        return at._replace(failure=failure)

    # Dead letters

    async def withheld(self, shape: ViewShape[Any], at: Checkpoint) -> Withheld:
        with self._explained:
            return withheld(self._writer, shape.name, at)

    async def letters(
        self, shape: ViewShape[Any], generation: int, hold: Hold | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, Letter]]:
        with self._explained:
            return letters(self._writer, shape.name, generation, hold, after, limit)

    async def held_back(self, shape: ViewShape[Any], generation: int, limit: int = 1000) -> Sequence[Held]:
        with self._explained:
            return held_back(self._writer, shape.name, generation, limit)

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
        rows = self._changes(shape, at.generation, changes)
        with self._transaction() as writer:
            settle(writer, shape.name, at, hold, upto, left, skip, loaded=not isinstance(shape, TableShape))
            rows.write(writer)
        self._bells.wake_all(shape.name)

    async def skips(self, shape: ViewShape[Any]) -> Sequence[Skip]:
        with self._explained:
            return skips(self._writer, shape.name)

    # Operators, and those who wait

    async def pause(self, shape: ViewShape[Any], pause: Pause) -> Pause | None:
        with self._transaction() as writer:
            before = paused(writer, shape.name)
            if before is None:
                writer.execute(SQL["pause"], (shape.name, pause.since, pause.reason))
        self._bells.wake_all(shape.name)
        return before

    async def resume(self, shape: ViewShape[Any]) -> Pause | None:
        with self._transaction() as writer:
            before = paused(writer, shape.name)
            writer.execute(SQL["resume"], (shape.name,))
        return before

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self._readers.snapshot()

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        deadline = time.monotonic() + timeout.total_seconds()
        pause = POLL_FIRST
        while True:
            bell = self._bells.of(shape.name)
            rung = bell.position  # first, so that no ringing after this look is lost
            with self._explained:
                found = answering(self._writer, shape)
            if found is not None and found.live and (found.position >= position or found.hindrance is not None):
                return True
            left = timedelta(seconds=deadline - time.monotonic())
            if left <= timedelta(0):
                return False
            if rung < position:
                if await bell.reached(position, min(left, pause)):
                    return True
            else:  # it was rung for a generation that another process has replaced
                await asyncio.sleep(min(left, pause).total_seconds())
            pause = min(pause * 2, POLL_MOST)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """Everything in it or nothing, alone among those who write to the file."""
        writer = self._writer
        with self._explained:
            begin_immediate(writer, wait=True)
            try:
                yield writer
                writer.execute("COMMIT")
                self._bells.changes += 1
            finally:
                roll_back(writer)

    def _changes(self, shape: ViewShape[V], number: int, changes: Changes[V]) -> RowChanges[V] | TableWriting:
        if isinstance(shape, TableShape):
            return TableWriting(self._own_tables(shape, number), changes)
        assert not isinstance(changes, TableChanges)  # noqa: S101 - those are of a TableShape
        return RowChanges(self._table(shape, number), changes)

    def _own_tables(self, shape: TableShape, number: int) -> OwnTables:
        tables = self._owned.get((shape.fingerprint, number))
        if tables is None:
            tables = self._owned[shape.fingerprint, number] = OwnTables(shape, number)
        return tables

    def _table(self, shape: ViewShape[V], generation: int) -> RowTable[V]:
        table = self._tables.get((shape.fingerprint, generation))
        if table is None:
            table = self._tables[shape.fingerprint, generation] = RowTable(shape, generation)
        return table
