"""Reads inline while they are cheap, and on a thread when they turn out not to be.

A read that hits the page cache takes less time than the hop to a thread and back. One that goes past its budget of
SQLite's own instructions is interrupted and run again, from its beginning, where it blocks nobody.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from diptych.stores.sqlite.connection import Explained, is_frozen, open_reader, roll_back
from diptych.stores.sqlite.place import OpenFile

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]

_TICK = 1000
INLINE_TICKS = 30
"""Thousands of SQLite instructions that a read may take on the event loop: about half a millisecond."""

UNBOUNDED = float("inf")


class Budget:
    """Interrupts a statement of one connection that goes past so many thousands of SQLite's own instructions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._spent = 0
        self._allowed = UNBOUNDED
        connection.set_progress_handler(self._tick, _TICK)

    def allow(self, ticks: float) -> None:
        """What the work that comes next may take."""
        self._spent = 0
        self._allowed = ticks

    def _tick(self) -> int:
        self._spent += 1
        return self._spent > self._allowed


def raise_unless_interrupted(error: sqlite3.OperationalError) -> None:
    """Passes over the end of a budget, and raises everything else again."""
    if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
        raise error


class Reader:
    """Read-only work on one file: a connection for the event loop, and one for a thread when it is needed.

    `file` tells whether it still is the file that was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._explained = Explained(path)
        self._quick = open_reader(path)
        self.file = OpenFile(path, frozen=is_frozen(self._quick))
        self._budget = Budget(self._quick)
        self._slow: sqlite3.Connection | None = None
        self._slow_turn = asyncio.Lock()

    async def close(self) -> None:
        """Closes both connections, when the thread has done with its own."""
        async with self._slow_turn:
            self._quick.close()
            if self._slow is not None:
                self._slow.close()

    def bounded(self, work: Work[T]) -> T:
        """Runs work that is bounded by itself, such as one page, where it stands."""
        with self._explained:
            return self._inline(work, UNBOUNDED)

    async def run(self, work: Work[T]) -> T:
        """Runs work of unknown size. It may run twice, so it keeps nothing of a run that was interrupted."""
        with self._explained:
            try:
                return self._inline(work, INLINE_TICKS)
            except sqlite3.OperationalError as error:
                raise_unless_interrupted(error)
        async with self._slow_turn:
            if self._slow is None:
                self.file.check()
                self._slow = open_reader(self._path)
            with self._explained:
                return await on_a_thread(partial(_ended, work, self._slow), self._slow.interrupt)

    def _inline(self, work: Work[T], ticks: float) -> T:
        self._budget.allow(ticks)
        try:
            return work(self._quick)
        finally:  # the end of a transaction is a statement, too, and must not be where the budget is spent
            self._budget.allow(UNBOUNDED)
            roll_back(self._quick)


def _ended(work: Work[T], connection: sqlite3.Connection) -> T:
    roll_back(connection)  # a caller who went away may have interrupted the end of the transaction before
    try:
        return work(connection)
    finally:
        roll_back(connection)


async def on_a_thread(work: Callable[[], T], interrupt: Callable[[], object]) -> T:
    """Runs work on a connection on a thread. A cancelled caller interrupts it, and waits for its end all the same.

    Until then the connection is in use: SQLite crashes where it is closed, and waits where it is used again.
    """
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():  # however often it is cancelled
            interrupt()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running], timeout=0.05)
        running.exception()
        raise


def in_snapshot(work: Work[T]) -> Work[T]:
    """The same work with all of its statements under one snapshot. The Reader that runs it ends the transaction."""

    def under_snapshot(connection: sqlite3.Connection) -> T:
        connection.execute("BEGIN")
        return work(connection)

    return under_snapshot
