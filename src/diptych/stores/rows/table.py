"""A view's rows as the values of a table's columns, and back."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

from diptych.messages import View
from diptych.read import Column, Key, UnreadableRow, ViewShape

V = TypeVar("V", bound=View)

Encode = Callable[[Any], Any]
Coder = Callable[[Column], Encode | None]
"""The function for the values of a column, or None where they stay as they are."""


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class Rows(Generic[V]):
    """The rows of one table, which has a column for each field. `table` and `columns` are SQL.

    `encoder` and `decoder` say how a store keeps the values of a column.
    """

    def __init__(self, shape: ViewShape[V], table: str, encoder: Coder, decoder: Coder) -> None:
        self.shape = shape
        self.table = table
        self.columns = ", ".join(quoted(column.name) for column in shape.columns)
        self.encoder = encoder
        self._view = shape.view
        self._names = tuple([column.name for column in shape.columns])
        self._encoders = _coders(encoder, shape.columns)
        self._decoders = _coders(decoder, shape.columns)
        self._key_encoders = [encoder(shape.column(name)) for name in shape.key]
        self._key_is_plain = not any(self._key_encoders)

    def encode(self, row: V) -> Sequence[Any]:
        """A row as bind values. Raises ValueError where the table cannot hold it."""
        self.shape.check_types(row)
        values = list(msgspec.structs.astuple(row))
        for number, encode in self._encoders:
            if (value := values[number]) is not None:
                values[number] = encode(value)
        return values

    def encode_key(self, key: Key) -> tuple[Any, ...]:
        """A key as bind values. Raises ValueError where no row can have it."""
        parts = key if len(self._key_encoders) > 1 else (key,)
        if self._key_is_plain:
            return parts
        return tuple(
            [part if encode is None else encode(part) for encode, part in zip(self._key_encoders, parts, strict=True)]
        )

    def decode(self, values: Iterable[Any]) -> V:
        """A row again. Raises UnreadableRow."""
        if self._decoders:
            values = list(values)
            for number, decode in self._decoders:
                if (value := values[number]) is not None:
                    try:
                        values[number] = decode(value)
                    except Exception as error:
                        raise self._unreadable(values, number, error) from error
        return self._view(**dict(zip(self._names, values, strict=True)))

    def _unreadable(self, values: list[Any], failed: int, error: Exception) -> UnreadableRow:
        """`values` are decoded up to the one that could not be."""
        keys = [self._names.index(name) for name in self.shape.key]
        for number, decode in self._decoders:
            if number > failed and number in keys:
                with suppress(Exception):
                    values[number] = decode(values[number])
        key = tuple([values[number] for number in keys]) if len(keys) > 1 else values[keys[0]]
        return UnreadableRow(self.shape.name, key, f"{error} (field {self._names[failed]})")


def _coders(coder: Coder, columns: Sequence[Column]) -> list[tuple[int, Encode]]:
    """The functions of those columns that have one, by their numbers."""
    coders = [(number, coder(column)) for number, column in enumerate(columns)]
    return [(number, code) for number, code in coders if code is not None]
