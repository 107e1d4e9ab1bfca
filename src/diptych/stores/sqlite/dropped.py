"""What becomes of the rows of dropped generations: they are removed a few at a time, so that nobody waits for long."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from diptych.errors import Unavailable
from diptych.stores.rows import quoted
from diptych.stores.sqlite.checkpoints import SQL

ROWS = 500
"""Rows that one transaction removes: a few milliseconds."""


class Sweeper:
    """Removes what was put aside, in transactions of its own, as long as the views are open.

    What is left then is removed by whoever sweeps next, in whichever process.
    """

    def __init__(
        self, handle: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[sqlite3.Connection]]
    ) -> None:
        self._handle = handle
        self._transaction = transaction
        self._sweeping: asyncio.Task[None] | None = None

    def sweep(self) -> None:
        """Begins, if there is anything to remove, and it has not begun yet."""
        if (self._sweeping is None or self._sweeping.done()) and dropped_table(self._handle) is not None:
            self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Leaves the rest."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])

    async def _sweep(self) -> None:
        with suppress(Unavailable):
            while True:
                begun = time.monotonic()
                with self._transaction() as handle:
                    if not remove_some(handle):
                        return
                await asyncio.sleep(time.monotonic() - begun)


def dropped_table(handle: sqlite3.Connection) -> str | None:
    """A table that was put aside."""
    row = handle.execute(SQL["dropped"]).fetchone()
    return None if row is None else str(row[0])


def remove_some(handle: sqlite3.Connection) -> bool:
    """Removes an index of what was put aside, or some rows, or a table of few. False if there is none."""
    if (name := dropped_table(handle)) is None:
        return False
    for (index,) in handle.execute(SQL["indexes"], (name,)).fetchall():  # rows go many times as fast without
        handle.execute(f"DROP INDEX {quoted(index)}")
        return True
    table = quoted(name)
    key = ", ".join([quoted(column) for (column,) in handle.execute(SQL["keys"], (name,)).fetchall()]) or "rowid"
    last = f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {ROWS - 1}"  # noqa: S608 - names
    if not handle.execute(f"DELETE FROM {table} WHERE ({key}) <= ({last})").rowcount:  # noqa: S608 - names
        handle.execute(f"DROP TABLE {table}")
    return True
