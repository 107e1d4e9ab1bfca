"""The statement that moves a segment of a view and writes its rows: one, so one transaction and one round trip."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import asyncpg

from diptych.messages import View
from diptych.read import Column, Key
from diptych.stores.postgres.connection import Connection
from diptych.stores.postgres.rows import RowTable, by_column, row_arrays
from diptych.stores.rows import quoted

V = TypeVar("V", bound=View)

_UNFIT = (
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.IntegrityConstraintViolationError,
    asyncpg.exceptions.ProgramLimitExceededError,
)
"""What the server says of a row that it cannot hold: the last one of a key that is too long for an index."""


class Writing(Generic[V]):
    """Writes rows of a generation where `fence`, an UPDATE of its segment with so many binds, has found its row.

    The fence gives whether the generation is live.
    """

    def __init__(self, table: RowTable[V], fence: str, binds: int) -> None:
        self.table = table
        self._fence = fence
        self._first = binds + 1
        self._statements = {
            (rows, gone): self._statement(rows=rows, gone=gone) for rows in (False, True) for gone in (False, True)
        }

    def prepare(self, changes: Mapping[Key, V | None]) -> tuple[str, list[Any]]:
        """The statement, and its binds after the fence's own. Raises ValueError for a row that cannot be held."""
        rows = [self.table.encode(row) for row in changes.values() if row is not None]
        gone = [self.table.encode_key(key) for key, row in changes.items() if row is None]
        binds = [
            *(by_column(rows, len(self.table.shape.columns)) if rows else ()),
            *(by_column(gone, len(self.table.keys)) if gone else ()),
        ]
        return self._statements[bool(rows), bool(gone)], binds

    def _statement(self, *, rows: bool, gone: bool) -> str:
        parts = [f"moved AS ({self._fence})"]
        first = self._first
        if rows:
            parts.append(f"written AS ({self._insert(first)})")
            first += len(self.table.shape.columns)
        if gone:
            parts.append(f"deleted AS ({self._delete(first)})")
        return f"WITH {', '.join(parts)} SELECT (SELECT live FROM moved)"  # noqa: S608 - names

    def _insert(self, first: int) -> str:
        table, columns = self.table.table, self.table.columns
        plain = [column for column in self.table.shape.columns if column not in self.table.keys]
        updates = ", ".join(f"{quoted(column.name)} = excluded.{quoted(column.name)}" for column in plain)
        return (
            f"INSERT INTO {table} ({columns}) "  # noqa: S608 - names
            f"SELECT {columns} FROM {row_arrays(self.table.shape.columns, 'added', first)} "
            f"WHERE EXISTS (SELECT FROM moved) ON CONFLICT ({', '.join(map(_quoted, self.table.keys))}) "
            f"DO {f'UPDATE SET {updates}' if updates else 'NOTHING'}"
        )

    def _delete(self, first: int) -> str:
        keys = self.table.keys
        same = " AND ".join(f"row.{_quoted(key)} = gone.{_quoted(key)}" for key in keys)
        return (
            f"DELETE FROM {self.table.table} AS row USING {row_arrays(keys, 'gone', first)} "  # noqa: S608 - names
            f"WHERE {same} AND EXISTS (SELECT FROM moved)"
        )


async def write(connection: Connection, sql: str, binds: Sequence[Any]) -> bool | None:
    """Whether the generation is live; None where its segment was not to be moved, and nothing is written.

    Raises ValueError for a row that the store cannot hold.
    """
    try:
        live: bool | None = await connection.fetchval(sql, *binds)
    except _UNFIT as error:
        raise ValueError(f"the store cannot hold a row: {error}") from error
    except asyncpg.exceptions.UndefinedTableError:
        return None
    return live


def _quoted(column: Column) -> str:
    return quoted(column.name)
