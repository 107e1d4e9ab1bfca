"""How the rows of a view stand in a PostgreSQL table: columns, values, and the statements that write them.

Text is ordered by code point. It cannot hold U+0000, so that is written as two characters, and so is the one that they
begin with; the order stays.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from diptych.messages import View
from diptych.read import Column, Key, Kind, ViewShape
from diptych.read.columns import in_utc, integer, is_enum, nested_json, real, scaled
from diptych.stores.postgres.connection import Connection
from diptych.stores.rows import Encode, Rows, quoted

V = TypeVar("V", bound=View)

_DECIMAL_DIGITS = 19
"""Digits of the largest number of 64 bits."""

_NAME_BYTES = 40
"""What is left of PostgreSQL's 63 bytes for a name when the filling and the index are told apart."""

_TYPES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.REAL: "double precision",
    Kind.BOOLEAN: "boolean",
    Kind.DATETIME: "timestamptz",
    Kind.DATE: "date",
    Kind.UUID: "uuid",
    Kind.BYTES: "bytea",
    Kind.JSON: "json",
    Kind.DECIMAL: "numeric",
}


def stored_text(text: str) -> str:
    """Text as PostgreSQL can hold it, in the same order."""
    if "\0" in text or "\1" in text:
        return text.replace("\1", "\1\2").replace("\0", "\1\1")
    return text


def loaded_text(text: str) -> str:
    """The text again."""
    return text.replace("\1\1", "\0").replace("\1\2", "\1") if "\1" in text else text


def encoder(column: Column) -> Encode | None:
    """The function from a value of the column to what the driver takes, or None where that is the same."""
    if is_enum(column):
        plain = encoder(column._replace(type=object))
        return (lambda value: value.value) if plain is None else (lambda value: plain(value.value))
    match column.kind:
        case Kind.DECIMAL:
            digits = column.scale
            return lambda value: _fitting(value, digits)
        case Kind.INTEGER:
            return integer
        case Kind.REAL:
            return real
        case Kind.DATETIME:
            return in_utc
        case Kind.TEXT:
            return stored_text
        case Kind.JSON:
            to_stored = nested_json(column)
            return lambda value: to_stored(value).decode()
        case Kind.BOOLEAN | Kind.DATE | Kind.UUID | Kind.BYTES:
            return None


def decoder(column: Column) -> Encode | None:
    """The way back."""
    if is_enum(column):
        kind: Encode = column.type
        plain = decoder(column._replace(type=object))
        return kind if plain is None else (lambda value: kind(plain(value)))
    match column.kind:
        case Kind.TEXT:
            return loaded_text
        case Kind.UUID:
            return lambda value: UUID(int=value.int)  # the driver's own subclass is not what a user wrote
        case Kind.JSON:
            json_type: Any = column.type
            return msgspec.json.Decoder(json_type).decode
        case _:
            return None


def _fitting(value: Decimal, digits: int) -> Decimal:
    scaled(value, digits)
    return value


def sql_type(column: Column) -> str:
    """The type of the column."""
    match column.kind:
        case Kind.DECIMAL:
            return f"numeric({_DECIMAL_DIGITS}, {column.scale})"
        case Kind.TEXT:
            return 'text COLLATE "C"'
        case kind:
            return _TYPES[kind]


def short(name: str) -> str:
    """A name that can be made longer and is still one of PostgreSQL's."""
    data = name.encode()
    if len(data) <= _NAME_BYTES:
        return name
    return f"{data[: _NAME_BYTES - 9].decode(errors='ignore')}_{hashlib.sha256(data).hexdigest()[:8]}"


class RowTable(Rows[V]):
    """One generation of a view: the table `name_number` in the schema of views."""

    def __init__(self, shape: ViewShape[V], number: int, schema: str) -> None:
        self.keys = tuple([shape.column(name) for name in shape.key])
        self._plain = f"{short(shape.name)}_{number}"
        super().__init__(shape, f"{quoted(schema)}.{quoted(self._plain)}", encoder, decoder)

    # Tables

    def create(self) -> str:
        """The statement that makes the table, without indexes but the one of its key."""
        columns = [
            f"{quoted(column.name)} {sql_type(column)}{'' if column.optional else ' NOT NULL'}"
            for column in self.shape.columns
        ]
        keys = ", ".join(quoted(name) for name in self.shape.key)
        return f"CREATE TABLE {self.table} ({', '.join(columns)}, PRIMARY KEY ({keys}))"

    def complete(self) -> list[str]:
        """The statements that make the declared indexes, where they are not there yet."""
        keys = ", ".join(quoted(name) for name in self.shape.key)
        return [
            f"CREATE INDEX IF NOT EXISTS {quoted(f'{self._plain}_{number}')} ON {self.table} "
            f"({quoted(name)}{' NULLS FIRST' if self.shape.column(name).optional else ''}, {keys})"
            for number, name in enumerate(self.shape.index)
        ]

    def copy_from(self, other: "RowTable[V]") -> str:
        """The statement that copies the rows of another generation of the same shape."""
        return f"INSERT INTO {self.table} ({self.columns}) SELECT {self.columns} FROM {other.table}"  # noqa: S608 - names

    # Rows

    def lookup(self, keys: Collection[Key], first: int = 1) -> tuple[str, list[Any]]:
        """The statement that finds the rows of these keys, with an array for each field of the key.

        These are binds from the `first` on.
        """
        wanted: list[tuple[Any, ...]] = []
        for key in keys:
            with suppress(ValueError):  # what the column cannot hold is not there
                wanted.append(self.encode_key(key))
        columns = ", ".join(f"row.{quoted(name)}" for name in self._names)
        same = " AND ".join(f"row.{quoted(key.name)} = wanted.{quoted(key.name)}" for key in self.keys)
        arrays = row_arrays(self.keys, "wanted", first)
        sql = f"SELECT {columns} FROM {arrays} JOIN {self.table} AS row ON {same}"  # noqa: S608 - names
        return sql, by_column(wanted, len(self.keys))


def dropped(tables: Iterable[str]) -> str:
    """The statement that drops tables, when no SQL view is on them any more."""
    return f"DROP TABLE IF EXISTS {', '.join(tables)}"


async def find_rows(connection: Connection, table: RowTable[V], keys: Sequence[Key]) -> dict[Key, V]:
    """The rows of these keys that exist, by key."""
    sql, binds = table.lookup(keys)
    rows = [table.decode(values) for values in await connection.fetch(sql, *binds)]
    return {table.shape.key_of(row): row for row in rows}


async def load_rows(
    connection: Connection, table: RowTable[V], keys: Collection[Key], exists: str, *generation: object
) -> dict[Key, V] | None:
    """The same, where the generation exists of which the table is, and None where it is gone: in one round trip."""
    lookup, binds = table.lookup(keys, len(generation) + 1)
    sql = f"SELECT known.*, found.* FROM ({exists}) AS known LEFT JOIN ({lookup}) AS found ON true"  # noqa: S608 - names
    try:
        found = await connection.fetch(sql, *generation, *binds)
    except asyncpg.exceptions.UndefinedTableError:
        return None
    if not found[0][0]:
        return None
    key = 1 + table.shape.columns.index(table.keys[0])
    rows = [table.decode(values[1:]) for values in found if values[key] is not None]
    return {table.shape.key_of(row): row for row in rows}


def sql_view(schema: str, name: str, table: str | None, columns: Iterable[str]) -> list[str]:
    """The statements that put the SQL view of a view's own name, in lower case, on a table, or on none."""
    view = f"{quoted(schema)}.{quoted(short(name.lower()))}"
    shown = ", ".join(f"{quoted(column)} AS {quoted(column.lower())}" for column in columns)
    create = [] if table is None else [f"CREATE VIEW {view} AS SELECT {shown} FROM {table}"]  # noqa: S608 - names
    return [f"DROP VIEW IF EXISTS {view}", *create]


def row_arrays(columns: Sequence[Column], name: str, first: int) -> str:
    """Arrays, one for each column, as a table of this name; the first of them is the bind of that number."""
    arrays = ", ".join(f"${first + number}::{_TYPES[column.kind]}[]" for number, column in enumerate(columns))
    return f"unnest({arrays}) AS {name} ({', '.join(quoted(column.name) for column in columns)})"


def by_column(rows: Sequence[Sequence[Any]], width: int) -> list[Any]:
    """The values of each column in an array, for `row_arrays`."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
