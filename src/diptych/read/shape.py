"""The shape of a view: its columns, its key, and the fingerprint of all that, by which a changed view is noticed."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

from diptych.errors import Malformed, NotFound
from diptych.messages import View
from diptych.messages.words import did_you_mean
from diptych.read.columns import (
    MAX_SCALE,
    Column,
    Kind,
    check_type,
    column_of,
    in_utc,
    is_enum,
    real,
    scaled,
    shown,
    typed_value,
    value_checker,
)

V = TypeVar("V", bound=View)

_json = msgspec.json.Encoder().encode

Key = Any
"""A view's key: the value of its key field, or a tuple of the values of several."""


class ViewShape(Generic[V]):
    """A view's columns, key and indexes. Raises TypeError for a class that makes no sense as a view, saying why.

    `sync` says that it is kept in step with the log, which is no part of its fingerprint.
    """

    def __init__(self, view: type[V], version: int = 1, *, sync: bool = False) -> None:
        self.sync = sync
        declared = view.__declared__
        self.view = view
        self.name = declared.name
        hints = get_type_hints(view, include_extras=True)
        self.columns = tuple([column_of(field.name, hints[field.name]) for field in msgspec.structs.fields(view)])
        self.key = declared.key
        self.index = declared.index
        self._by_name = {column.name: column for column in self.columns}
        self._judge()
        self.key_of: Callable[[Any], Key] = attrgetter(*self.key)
        self._key_columns = [self._by_name[name] for name in self.key]
        self._is_text = len(self.key) == 1 and self._key_columns[0].type is str
        self.fingerprint = self._fingerprint(version)
        self._good: set[tuple[type, ...]] = set()
        checkers = [(column.name, value_checker(column)) for column in self.columns]
        self._checkers = {name: check for name, check in checkers if check is not None}

    def column(self, name: str) -> Column:
        """The column of this name. Raises NotFound, naming the nearest one."""
        found = self._by_name.get(name)
        if found is None:
            raise NotFound(f"View {self.name} has no field {name!r}{did_you_mean(name, self._by_name)}")
        return found

    def key_value(self, key: Key) -> Key:
        """A key as given by a user, converted to the types of the key's fields. Raises Malformed."""
        columns = self._key_columns
        if len(columns) == 1:
            return typed_value(columns[0], key)
        if not _is_tuple(key) or len(key) != len(columns):
            raise Malformed(f"View {self.name} is found by {len(columns)} values: {', '.join(self.key)}")
        return tuple([typed_value(column, part) for column, part in zip(columns, key, strict=True)])

    def key_text(self, key: Key) -> str:
        """A key as JSON, equal for equal keys: how a row is named where its key is no value of a column."""
        if self._is_text and type(key) is str and key.isascii():
            return _json(key).decode()
        parts = key if len(self._key_columns) > 1 and _is_tuple(key) else (key,)
        plain = [_plain(column, part) for column, part in zip(self._key_columns, parts, strict=False)]
        try:
            return msgspec.json.encode(plain[0] if len(plain) == 1 else plain).decode()
        except (TypeError, ValueError):  # what a `keys=` function made up, and no column can hold
            return msgspec.json.encode(ascii(key)).decode()

    def check_types(self, row: V) -> None:
        """Raises ValueError for a row whose values are not of its fields' types: rows are built unvalidated."""
        types = tuple(map(type, msgspec.structs.astuple(row)))
        if types in self._good:
            return
        for column in self.columns:
            try:
                check_type(column, getattr(row, column.name))
            except ValueError as error:
                raise ValueError(f"{self.name}.{error}") from None
        self._good.add(types)

    def check(self, row: V) -> None:
        """Raises ValueError for a row that no store could hold, or give back as it was."""
        self.check_types(row)
        for name, check in self._checkers.items():
            if (value := getattr(row, name)) is not None:
                check(value)

    def check_key(self, key: Key) -> None:
        """Raises ValueError for a key that no row could have: whatever a `keys=` function may give."""
        columns = self._key_columns
        parts = key if len(columns) > 1 else (key,)
        if not _is_tuple(parts) or len(parts) != len(columns):
            raise ValueError(f"{self.name} is found by {', '.join(self.key)}, and not by {key!a}")
        for column, part in zip(columns, parts, strict=True):
            check_type(column, part)
            if (check := self._checkers.get(column.name)) is not None:
                check(part)

    def _judge(self) -> None:
        if not self.key:
            raise TypeError(f'has no key: say class {self.view.__name__}(View, key="...")')
        names = [column.name.lower() for column in self.columns]
        for column in self.columns:
            if names.count(column.name.lower()) > 1 and not column.name.islower():
                raise TypeError(f"has the field {column.name!r} and another that differs from it in case only")
        for name in (*self.key, *self.index):
            if name not in self._by_name:
                raise TypeError(f"names {name!r} as key or index, which is no field of it")
        for name in self.key:
            column = self._by_name[name]
            if column.optional or column.kind is Kind.JSON:
                raise TypeError(f"has the key field {name!r}, which must be a plain value and not None")
        for column in self.columns:
            if not 0 <= column.scale <= MAX_SCALE:
                raise TypeError(
                    f"declares a scale of {column.scale} for {column.name!r}: 0 to {MAX_SCALE} are possible"
                )

    def _fingerprint(self, version: int) -> str:
        described = [
            (column.name, column.kind.value, column.optional, column.scale, _described(column))
            for column in self.columns
        ]
        text = msgspec.json.encode((self.name, version, described, self.key, self.index))
        return hashlib.sha256(text).hexdigest()[:32]


def _plain(column: Column, value: Any) -> Any:
    """A value of a key's field, the same for equal ones. Whatever else there may be is left as it is."""
    with suppress(ValueError, TypeError, AttributeError):
        if is_enum(column):
            return value.value
        match column.kind:
            case Kind.DECIMAL:
                return scaled(value, column.scale)
            case Kind.DATETIME:
                return in_utc(value)
            case Kind.REAL:
                return real(value)
            case _:
                return value
    return value


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple)


def _described(column: Column) -> Any:
    return msgspec.json.schema(column.type) if column.kind is Kind.JSON else shown(column.type)
