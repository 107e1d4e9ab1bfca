"""How the rows of a view stand in an SQLite table: columns, values, and the statements that write them.

A Decimal is an integer of its last digit, so that it is exact, ordered and summable; times are ISO text in UTC with a
fixed width, so that they are ordered too.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from diptych.messages import View
from diptych.read import Column, Key, Kind, ViewShape
from diptych.read.columns import in_utc, integer, is_enum, nested_json, real, scaled
from diptych.stores.rows import Encode, Rows, quoted

V = TypeVar("V", bound=View)

_CHUNKS = (512, 64, 8, 1)
_WIDE = Context(prec=64)
_TYPES = {
    Kind.INTEGER: "INTEGER",
    Kind.BOOLEAN: "INTEGER",
    Kind.DECIMAL: "INTEGER",
    Kind.REAL: "REAL",
    Kind.BYTES: "BLOB",
}


def unscaled(number: int, digits: int) -> Decimal:
    """The Decimal again, with that many digits after the point."""
    return Decimal(number).scaleb(-digits, _WIDE)


def encoder(column: Column) -> Encode | None:  # noqa: C901 - one case for each kind
    """The function from a value of the column to what SQLite stores, or None where that is the same."""
    if is_enum(column):
        return lambda value: value.value
    match column.kind:
        case Kind.DECIMAL:
            digits = column.scale
            return lambda value: scaled(value, digits)
        case Kind.INTEGER:
            return integer
        case Kind.REAL:
            return real
        case Kind.BOOLEAN:
            return int
        case Kind.DATETIME:
            return time_text
        case Kind.DATE:
            return date.isoformat
        case Kind.UUID:
            return str
        case Kind.JSON:
            to_stored = nested_json(column)
            return lambda value: to_stored(value).decode()
        case Kind.TEXT | Kind.BYTES:
            return None


def decoder(column: Column) -> Encode | None:
    """The way back."""
    if is_enum(column):
        kind: Encode = column.type
        return kind
    match column.kind:
        case Kind.DECIMAL:
            digits = column.scale
            return lambda number: unscaled(number, digits)
        case Kind.BOOLEAN:
            return bool
        case Kind.DATETIME:
            return datetime.fromisoformat
        case Kind.DATE:
            return date.fromisoformat
        case Kind.UUID:
            return UUID
        case Kind.JSON:
            return _json_decoder(column)
        case Kind.TEXT | Kind.BYTES | Kind.INTEGER | Kind.REAL:
            return None


def _json_decoder(column: Column) -> Encode:
    kind: Any = column.type
    return msgspec.json.Decoder(kind).decode


def table_name(view: str, generation: int) -> str:
    """The table of a generation's rows."""
    return f"diptych_{view}_{generation}"


def dropped_name(table: str) -> str:
    """What a table is called from when it is dropped until its rows are removed."""
    return f"dropped_{table}"


class RowTable(Rows[V]):
    """One generation of a view: its table, and the statements on it."""

    def __init__(self, shape: ViewShape[V], generation: int) -> None:
        self._name = table_name(shape.name, generation)
        super().__init__(shape, quoted(self._name), encoder, decoder)
        self._keys = ", ".join(quoted(name) for name in shape.key)
        rest = [quoted(name) for name in self._names if name not in shape.key]
        updates = ", ".join(f"{name} = excluded.{name}" for name in rest)
        self.upsert = (
            f"INSERT INTO {self.table} ({self.columns}) VALUES ({', '.join('?' * len(self._names))}) "  # noqa: S608 - names
            f"ON CONFLICT ({self._keys}) DO {f'UPDATE SET {updates}' if updates else 'NOTHING'}"
        )
        self.delete = f"DELETE FROM {self.table} WHERE " + " AND ".join(f"{quoted(name)} = ?" for name in shape.key)  # noqa: S608 - names
        self._lookups = {size: self._lookup(size) for size in _CHUNKS}

    @property
    def create(self) -> str:
        """The statement that makes the table."""
        columns = [
            f"{quoted(column.name)} {_TYPES.get(column.kind, 'TEXT')}{'' if column.optional else ' NOT NULL'}"
            for column in self.shape.columns
        ]
        return f"CREATE TABLE {self.table} ({', '.join(columns)}, PRIMARY KEY ({self._keys})) STRICT, WITHOUT ROWID"

    def complete(self) -> list[str]:
        """The statements that make the indexes which are not there yet."""
        named = [(quoted(f"{self._name}_{name}"), quoted(name)) for name in self.shape.index]
        return [f"CREATE INDEX IF NOT EXISTS {index} ON {self.table} ({name}, {self._keys})" for index, name in named]

    def copy_from(self, other: "RowTable[V]") -> str:
        """The statement that takes over all rows of another generation."""
        return f"INSERT INTO {self.table} ({self.columns}) SELECT {self.columns} FROM {other.table}"  # noqa: S608 - names

    def lookups(self, keys: Collection[Key]) -> Iterable[tuple[str, list[Any]]]:
        """Statements with their bind values that together find the rows of these keys.

        A chunk that is not full is filled up with its last key, so that there are few different statements.
        """
        pending: list[tuple[Any, ...]] = []
        for key in keys:
            try:
                pending.append(self.encode_key(key))
            except ValueError:  # what the column cannot hold is not there
                continue
        start = 0
        while start < len(pending):
            left = len(pending) - start
            size = 1 if left == 1 else next((size for size in reversed(_CHUNKS) if size >= left), _CHUNKS[0])
            chunk = pending[start : start + size]
            chunk += [chunk[-1]] * (size - len(chunk))
            yield self._lookups[size], [part for key in chunk for part in key]
            start += size

    def _lookup(self, size: int) -> str:
        marks = f"({', '.join('?' * len(self.shape.key))})"
        names = [f"column{number}" for number in range(1, len(self.shape.key) + 1)]
        match = " AND ".join(
            f"row.{quoted(key)} = wanted.{name}" for key, name in zip(self.shape.key, names, strict=True)
        )
        columns = ", ".join(f"row.{quoted(name)}" for name in self._names)
        values = ", ".join([marks] * size)
        return f"SELECT {columns} FROM (VALUES {values}) AS wanted CROSS JOIN {self.table} AS row ON {match}"  # noqa: S608 - names


class RowChanges(Generic[V]):
    """Changes of rows, encoded before a lock is held. Raises ValueError for a row that the table cannot hold."""

    def __init__(self, table: RowTable[V], changes: Mapping[Key, V | None]) -> None:
        self._table = table
        self._rows = [table.encode(row) for row in changes.values() if row is not None]
        self._gone = [table.encode_key(key) for key, row in changes.items() if row is None]

    def write(self, handle: sqlite3.Connection) -> None:
        """Writes them. Rows that the table refuses are a ValueError: their event is what is wrong, not the store."""
        try:
            if self._rows:
                handle.executemany(self._table.upsert, self._rows)
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
            raise ValueError(f"the store cannot hold a row: {error}") from error
        if self._gone:
            handle.executemany(self._table.delete, self._gone)


def time_text(value: datetime) -> str:
    """A time as it is stored. Raises ValueError for one without a zone."""
    return in_utc(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
