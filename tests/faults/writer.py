"""A connection that fails as it is told, in the place of a log's writer."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from diptych.stores.sqlite.log import SqliteLog

Fault = Callable[[str], sqlite3.Error | None]


def failure(code: int, words: str = "made to fail") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


class FaultyWriter:
    """Passes everything on to the real connection, and asks `before` and `after` each statement whether it fails.

    `row` is asked before each row of an executemany, with the number of the row counted from 1.
    """

    def __init__(self, log: SqliteLog) -> None:
        self.real = log._writer
        self.before: Fault = lambda sql: None
        self.after: Fault = lambda sql: None
        self.row: Callable[[str, int], sqlite3.Error | None] = lambda sql, number: None
        self.commits = 0
        stand_in: Any = self
        log._writer = stand_in

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def execute(self, sql: str, *binds: Any) -> sqlite3.Cursor:
        self.commits += sql == "COMMIT"
        if (error := self.before(sql)) is not None:
            raise error
        result = self.real.execute(sql, *binds)
        if (error := self.after(sql)) is not None:
            raise error
        return result

    def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        if (error := self.before(sql)) is not None:
            raise error
        return self.real.executemany(sql, self._rows(sql, rows))

    def _rows(self, sql: str, rows: Iterable[Any]) -> Iterable[Any]:
        for number, row in enumerate(rows, 1):
            if (error := self.row(sql, number)) is not None:
                raise error
            yield row
