"""Views in an SQLite file beside the log: one writer, typed columns, a checkpoint in the transaction of the rows."""

import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from diptych.errors import NotAStore, NotCaughtUp
from diptych.log import BEGINNING, Anchor, Bell
from diptych.messages import View
from diptych.read import Checkpoint, Failure, Key, Snapshot, Superseded, ViewShape
from diptych.stores.sql import load_script, load_statements
from diptych.stores.sqlite.connection import (
    DISPOSABLE,
    LOCK_TIMEOUT,
    Explained,
    FileKind,
    begin_immediate,
    open_writer,
    roll_back,
)
from diptych.stores.sqlite.rows import RowTable
from diptych.stores.sqlite.snapshot import ViewReaders, find_rows, read_checkpoint

V = TypeVar("V", bound=View)

VIEWS_FILE = FileKind(
    application_id=0x44505456,  # DPTV
    what="the views of a Diptych store",
    script=load_script("diptych.stores.sqlite", "views_schema.sql"),
    format=1,
    synchronous="NORMAL",
    timeout=LOCK_TIMEOUT,
)

POLL_FIRST = timedelta(milliseconds=1)
POLL_MOST = timedelta(milliseconds=20)
"""How often a waiting query looks for what a projector of another process has done: less and less often."""

_SQL = load_statements("diptych.stores.sqlite", "views.sql")


class ViewBells:
    """A bell for each view, shared by everything in this process that opens the same file.

    `changes` grows with every change of the file by this process.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._bells: dict[str, Bell] = {}

    def of(self, view: str) -> Bell:
        """The bell of a view."""
        return self._bells.setdefault(view, Bell())

    def ring(self, view: str, position: int) -> None:
        """The view has changed, and stands at this position."""
        self.changes += 1
        self.of(view).ring(position)

    def begin_anew(self, view: str) -> None:
        """A view that starts at position 0 again: those who wait look for themselves."""
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

    # Writing: from the projectors' loop

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        with self._explained:
            begin_immediate(self._writer, wait=True)
            try:
                known = self._writer.execute(_SQL["view"], (shape.name,)).fetchone()
                if known is not None and known[0] == shape.fingerprint and known[2] == log_id:
                    checkpoint = read_checkpoint(self._writer, shape)
                    assert checkpoint is not None  # noqa: S101 - it was just found
                    return checkpoint
                epoch = self._begin(shape, log_id, 0 if known is None else known[1])
                self._writer.execute("COMMIT")
            finally:
                roll_back(self._writer)
        self._bells.begin_anew(shape.name)
        return Checkpoint(log_id, BEGINNING, epoch)

    def _begin(self, shape: ViewShape[Any], log_id: str, epoch: int) -> int:
        for statement in RowTable(shape, epoch).drop() if epoch else ():
            self._writer.execute(statement)
        table = RowTable(shape, epoch + 1)
        for statement in table.create():
            self._writer.execute(statement)
        self._writer.execute(_SQL["begin_view"], (shape.name, shape.fingerprint, epoch + 1, log_id))
        return epoch + 1

    async def load(self, shape: ViewShape[V], keys: Collection[Key]) -> dict[Key, V]:
        with self._explained:
            checkpoint = read_checkpoint(self._writer, shape)
            if checkpoint is None:
                raise Superseded(f"view {shape.name} is gone")
            return find_rows(self._writer, self._table(shape, checkpoint.epoch), list(keys))

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        table: RowTable[V] = self._table(shape, at.epoch)
        rows = [table.encode(row) for row in changes.values() if row is not None]
        gone = [table.encode_key(key) for key, row in changes.items() if row is None]
        writer = self._writer
        with self._explained:
            begin_immediate(writer, wait=True)
            try:
                moved = writer.execute(
                    _SQL["advance"], (upto.position, upto.event_id, shape.name, at.epoch, at.position)
                ).rowcount
                if moved != 1:
                    raise Superseded(f"the checkpoint of {shape.name} is not at {at.position} any more")
                if rows:
                    _write(lambda: writer.executemany(table.upsert, rows))
                if gone:
                    writer.executemany(table.delete, gone)
                writer.execute("COMMIT")
            finally:
                roll_back(writer)
        self._bells.ring(shape.name, upto.position)
        return Checkpoint(at.log_id, upto, at.epoch)

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        with self._explained:
            begin_immediate(self._writer, wait=True)
            try:
                text = msgspec.json.encode(failure)
                self._writer.execute(_SQL["fail"], (text, shape.name, at.epoch, at.position))
                self._writer.execute("COMMIT")
            finally:
                roll_back(self._writer)
        self._bells.ring(shape.name, at.position)
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
                    checkpoint = read_checkpoint(self._writer, shape)
                except NotCaughtUp:
                    checkpoint = None
            if checkpoint is not None and (checkpoint.position >= position or checkpoint.failure is not None):
                return True
            left = timedelta(seconds=deadline - time.monotonic())
            if left <= timedelta(0):
                return False
            await self._bells.of(shape.name).reached(position, min(left, pause))
            pause = min(pause * 2, POLL_MOST)

    def _table(self, shape: ViewShape[V], epoch: int) -> RowTable[V]:
        table = self._tables.get((shape.fingerprint, epoch))
        if table is None:
            table = self._tables[shape.fingerprint, epoch] = RowTable(shape, epoch)
        return table


def _write(action: Callable[[], object]) -> None:
    """Rows that the table refuses are a ValueError: their event is what is wrong, not the store."""
    try:
        action()
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
        raise ValueError(f"the store cannot hold a row: {error}") from error
