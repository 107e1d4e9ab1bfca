"""The snapshots of streams in an SQLite file beside the log's, which is made when there is a first one.

A file of their own keeps them out of the way of commits: it has its own lock, and waits for no disk.
"""

import asyncio
import logging
import sqlite3
from datetime import timedelta
from pathlib import Path
from time import monotonic

from diptych.errors import Unavailable
from diptych.log import Anchor, EventLog, Restored, Snapshot, restored, stream_range
from diptych.stores.sql import load_script, load_statements
from diptych.stores.sqlite.connection import Explained, FileKind, open_writer
from diptych.stores.sqlite.reader import Reader, on_a_thread

log = logging.getLogger(__name__)

SNAPSHOT_FILE = FileKind(
    application_id=0x44505453,  # DPTS
    what="the snapshots of a Diptych store",
    script=load_script("diptych.stores.sqlite", "snapshots_schema.sql"),
    format=1,
    synchronous="NORMAL",
    timeout=timedelta(seconds=5),
)

LOOK = timedelta(seconds=1)
"""How often is looked for a file that another process may have made."""

DISPOSABLE = "delete it while nothing runs: snapshots are made again"
"""What to do about a damaged file of snapshots."""

_SQL = load_statements("diptych.stores.sqlite", "snapshots.sql")


class SqliteSnapshots:
    """See `diptych.log.SnapshotStore` for what it promises."""

    def __init__(self, path: Path, log: EventLog) -> None:
        self._path = path
        self._log = log
        self._explained = Explained(path, DISPOSABLE)
        self._reader: Reader | None = None
        self._look_at = 0.0
        self._writer: sqlite3.Connection | None = None
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Closes the file, when the thread has done with it."""
        async with self._turn:
            if self._writer is not None:
                self._writer.close()
        if self._reader is not None:
            await self._reader.close()

    async def restore(self, stream: str, shape: str) -> Restored:
        try:
            found = self._found(stream, shape)
        except Unavailable as error:
            log.warning("Snapshots are passed over: %s", error)
            found = None
        return await restored(self._log, stream, found)

    async def keep(self, snapshot: Snapshot) -> None:
        stream, version, (position, event_id), shape, data = snapshot
        await self._write("keep", stream, version, position, event_id, shape, data)

    async def delete(self, category: str) -> int:
        return await self._write("delete", *stream_range(category)) if self._path.exists() else 0

    def _found(self, stream: str, shape: str) -> Snapshot | None:
        reader = self._reader or self._opened()
        if reader is None:
            return None
        row = reader.bounded(lambda connection: connection.execute(_SQL["snapshot"], (stream, shape)).fetchone())
        if row is None:
            return None
        version, position, event_id, data = row
        return Snapshot(stream, version, Anchor(position, event_id), shape, data)

    def _opened(self) -> Reader | None:
        """The reader, once there is a file: as long as there is none, a load does not even look each time."""
        if (now := monotonic()) >= self._look_at:
            self._look_at = now + LOOK.total_seconds()
            if self._path.exists():
                self._reader = Reader(self._path)
        return self._reader

    async def _write(self, statement: str, *binds: object) -> int:
        def work() -> int:
            if self._writer is None:
                self._writer = open_writer(self._path, SNAPSHOT_FILE)
            with self._explained:
                return self._writer.execute(_SQL[statement], binds).rowcount

        def interrupt() -> None:
            if self._writer is not None:
                self._writer.interrupt()

        async with self._turn:
            done = await on_a_thread(work, interrupt)
        self._look_at = 0.0
        return done
