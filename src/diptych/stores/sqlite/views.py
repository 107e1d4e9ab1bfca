"""Views in an SQLite file beside the log: one writer, typed columns, a checkpoint in the transaction of the rows."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from diptych.errors import NotAStore, NotCaughtUp
from diptych.log import Anchor, Bell
from diptych.messages import View
from diptych.read import Checkpoint, Failure, Generation, Key, Snapshot, Superseded, ViewShape
from diptych.stores.sql import load_script
from diptych.stores.sqlite.connection import (
    DISPOSABLE,
    LOCK_TIMEOUT,
    Explained,
    FileKind,
    begin_immediate,
    open_writer,
    roll_back,
)
from diptych.stores.sqlite.generations import (
    SQL,
    add,
    drop,
    find_epoch,
    generations,
    go_live,
    live_checkpoint,
    paused_since,
)
from diptych.stores.sqlite.rows import RowTable
from diptych.stores.sqlite.snapshot import ViewReaders, find_rows

V = TypeVar("V", bound=View)

VIEWS_FILE = FileKind(
    application_id=0x44505456,  # DPTV
    what="the views of a Diptych store",
    script=load_script("diptych.stores.sqlite", "views_schema.sql"),
    format=2,
    synchronous="NORMAL",
    timeout=LOCK_TIMEOUT,
)

POLL_FIRST = timedelta(milliseconds=1)
POLL_MOST = timedelta(milliseconds=20)
"""How often a waiting query looks for what a projector of another process has done: less and less often."""


class ViewBells:
    """A bell for each view, shared by everything in this process that opens the same file.

    `changes` grows with every change of the file by this process.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._bells: dict[str, Bell] = {}

    def of(self, view: str) -> Bell:
        """The bell of a view, rung for its live generation."""
        return self._bells.setdefault(view, Bell())

    def ring(self, view: str, position: int) -> None:
        """The view's live generation has changed, and stands at this position."""
        self.changes += 1
        self.of(view).ring(position)

    def wake_all(self, view: str) -> None:
        """Another generation is live, or none goes on: those who wait look for themselves."""
        self.changes += 1
        if (old := self._bells.pop(view, None)) is not None:
            old.ring(2**63)


class SqliteViews:
    """See `diptych.read.ViewStore`. It belongs to the event loop that it was opened in."""

    def __init__(self, path: Path, bells: ViewBells) -> None:
        self._path = path
        self._explained = Explained(path, DISPOSABLE)
        self._bells = bells
        self._tables: dict[tuple[str, int], RowTable[Any]] = {}
        try:
            self._writer = open_writer(path, VIEWS_FILE)
        except NotAStore as error:
            raise NotAStore(f"{error.detail} If it held views, {DISPOSABLE}.") from error
        self._readers = ViewReaders(path, self._table, lambda: bells.changes)

    async def close(self) -> None:
        """Closes the file."""
        self._readers.close()
        self._writer.close()

    # Generations: from the projectors' loop, or an operator's

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        with self._transaction() as writer:
            found = generations(writer, shape)
            fitting = [generation for generation in found if generation.fits(shape, log_id)]
            for generation in fitting:
                if generation.live:
                    return generation.checkpoint
            ready = fitting[0].checkpoint if fitting else add(writer, shape, log_id, _next_epoch(found))
            go_live(writer, shape, ready.epoch)
        self._bells.wake_all(shape.name)
        return ready

    async def begin(self, shape: ViewShape[Any], log_id: str, *, anew: bool = False) -> Checkpoint:
        with self._transaction() as writer:
            found = generations(writer, shape)
            unfinished = [generation for generation in found if not generation.live]
            for generation in unfinished:
                if generation.fits(shape, log_id) and not anew:
                    return generation.checkpoint
            begun = add(writer, shape, log_id, _next_epoch(found))
            for generation in unfinished:
                drop(writer, shape, generation.checkpoint.epoch)
        return begun

    async def switch(self, shape: ViewShape[Any], at: Checkpoint) -> bool:
        with self._transaction() as writer:
            found = generations(writer, shape)
            ready = find_epoch(found, at.epoch)
            if ready is None or ready.checkpoint.paused:
                raise Superseded(f"generation {at.epoch} of {shape.name} is {'paused' if ready else 'gone'}")
            live = next((generation for generation in found if generation.live), None)
            if ready.live or not ready.may_replace(live):
                return ready.live
            go_live(writer, shape, at.epoch)
        self._bells.wake_all(shape.name)
        return True

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        with self._explained:
            return generations(self._writer, shape)

    async def pause(self, shape: ViewShape[Any], since: str) -> str | None:
        with self._transaction() as writer:
            before = paused_since(writer, shape)
            if before is None:
                writer.execute(SQL["pause"], (shape.name, since))
        self._bells.wake_all(shape.name)
        return before

    async def resume(self, shape: ViewShape[Any]) -> str | None:
        with self._transaction() as writer:
            before = paused_since(writer, shape)
            writer.execute(SQL["resume"], (shape.name,))
        return before

    # Writing: from the projectors' loop

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        with self._explained:
            try:
                return find_rows(self._writer, self._table(shape, at.epoch), list(keys))
            except sqlite3.OperationalError as error:
                if find_epoch(generations(self._writer, shape), at.epoch) is None:
                    raise Superseded(f"generation {at.epoch} of {shape.name} is gone") from error
                raise

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        table: RowTable[V] = self._table(shape, at.epoch)
        rows = [table.encode(row) for row in changes.values() if row is not None]
        gone = [table.encode_key(key) for key, row in changes.items() if row is None]
        with self._transaction() as writer:
            moved = writer.execute(
                SQL["advance"], (upto.position, upto.event_id, shape.name, at.epoch, at.position)
            ).fetchall()
            if not moved:
                raise Superseded(f"generation {at.epoch} of {shape.name} is not at {at.position} any more, or paused")
            if rows:
                _write(lambda: writer.executemany(table.upsert, rows))
            if gone:
                writer.executemany(table.delete, gone)
        if moved[0][0]:
            self._bells.ring(shape.name, upto.position)
        return Checkpoint(at.log_id, upto, at.epoch)

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        with self._transaction() as writer:
            writer.execute(SQL["fail"], (msgspec.json.encode(failure), shape.name, at.epoch, at.position))
        self._bells.wake_all(shape.name)
        return at._replace(failure=failure)

    # Reading: from the loop of the queries

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self._readers.snapshot()

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        deadline = time.monotonic() + timeout.total_seconds()
        pause = POLL_FIRST
        while True:
            with self._explained:
                try:
                    checkpoint = live_checkpoint(self._writer, shape)
                except NotCaughtUp:
                    checkpoint = None
            if checkpoint is not None and (checkpoint.position >= position or checkpoint.hindrance is not None):
                return True
            left = timedelta(seconds=deadline - time.monotonic())
            if left <= timedelta(0):
                return False
            bell = self._bells.of(shape.name)
            if bell.position < position:
                await bell.reached(position, min(left, pause))
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
            finally:
                roll_back(writer)

    def _table(self, shape: ViewShape[V], epoch: int) -> RowTable[V]:
        table = self._tables.get((shape.fingerprint, epoch))
        if table is None:
            table = self._tables[shape.fingerprint, epoch] = RowTable(shape, epoch)
        return table


def _next_epoch(found: Sequence[Generation]) -> int:
    return max([generation.checkpoint.epoch for generation in found], default=0) + 1


def _write(action: Callable[[], object]) -> None:
    """Rows that the table refuses are a ValueError: their event is what is wrong, not the store."""
    try:
        action()
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
        raise ValueError(f"the store cannot hold a row: {error}") from error
