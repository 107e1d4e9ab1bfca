"""What the machine allows: bare sqlite3, with nothing around it, on the same disk and with the same durability.

A limit keeps no ledger, judges no condition, wakes nobody and has no index but its key: it is what no log can pass.
"""

import sqlite3
import time
from pathlib import Path

from bench.harness import RATE, Contender
from bench.workload import EVENT, EVENT_TYPE, stream_of

TABLE = """
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    data BLOB NOT NULL
)
"""
INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?)"


def bare_commits(rows: int, seconds: float) -> Contender:
    """Rows per second of durable commits (WAL, synchronous=FULL) of so many rows each, one after the other."""

    def measure(folder: Path) -> dict[str, float]:
        database = connect(folder / "bare.db")
        database.execute(TABLE)
        _commits(database, rows, min(seconds / 4, 0.2))
        rate = _commits(database, rows, seconds)
        database.close()
        return {RATE: rate}

    return Contender(f"bare commits of {rows}", measure)


def connect(path: Path) -> sqlite3.Connection:
    """A connection as a log that promises durability has to have it."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _commits(database: sqlite3.Connection, rows: int, seconds: float) -> float:
    (first,) = database.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
    position = first
    start = time.perf_counter()
    end = start + seconds
    while time.perf_counter() < end:
        database.execute("BEGIN IMMEDIATE")
        if rows == 1:
            position += 1
            database.execute(INSERT, (position, stream_of(position), 1, EVENT_TYPE, EVENT))
        else:
            numbers = range(position + 1, position + rows + 1)
            database.executemany(INSERT, [(number, stream_of(number), 1, EVENT_TYPE, EVENT) for number in numbers])
            position += rows
        database.execute("COMMIT")
    return float(position - first) / (time.perf_counter() - start)
