"""The shape of a view: its columns as every read store understands them, its key, and the fingerprint of all that.

What a store makes of a column is the store's affair; what a column means stands here.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import inspect as shapes

from diptych.errors import Malformed, NotFound
from diptych.messages import View, convert
from diptych.messages.words import did_you_mean

V = TypeVar("V", bound=View)

Key = Any
"""A view's key: the value of its key field, or a tuple of the values of several."""

DEFAULT_SCALE = 6
"""Digits after the point of a Decimal column that declares no scale."""

MAX_SCALE = 18


class Scale(NamedTuple):
    """Digits after the point that a Decimal field of a view keeps: `Annotated[Decimal, Scale(2)]`.

    Nothing is rounded: a value with more digits does not fit, and stops its projection.
    """

    digits: int


class Kind(Enum):
    """What a column holds, in the order and with the equality of its Python type."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    DATETIME = "datetime"
    DATE = "date"
    UUID = "uuid"
    BYTES = "bytes"
    JSON = "json"


ORDERED = frozenset(Kind) - {Kind.JSON}
SUMMABLE = frozenset({Kind.INTEGER, Kind.REAL, Kind.DECIMAL})

_PYTHON: dict[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.INTEGER: (int,),
    Kind.REAL: (float, int),
    Kind.BOOLEAN: (bool,),
    Kind.DECIMAL: (Decimal,),
    Kind.DATETIME: (datetime,),
    Kind.DATE: (date,),
    Kind.UUID: (UUID,),
    Kind.BYTES: (bytes,),
    Kind.JSON: (object,),
}


class Column(NamedTuple):
    """A field of a view. `scale` counts a Decimal's digits after the point; `type` is the annotation without None."""

    name: str
    kind: Kind
    optional: bool
    scale: int
    type: Any


class ViewShape(Generic[V]):
    """A view's columns, key and indexes. Raises TypeError for a class that makes no sense as a view, saying why."""

    def __init__(self, view: type[V], version: int = 1) -> None:
        declared = view.__declared__
        self.view = view
        self.name = declared.name
        self.columns = tuple(_columns(view))
        self.key = declared.key
        self.index = declared.index
        self._by_name = {column.name: column for column in self.columns}
        self._judge()
        self.key_of: Callable[[Any], Key] = attrgetter(*self.key)
        self.fingerprint = self._fingerprint(version)
        self._good: set[tuple[type, ...]] = set()

    def column(self, name: str) -> Column:
        """The column of this name. Raises NotFound, naming the nearest one."""
        found = self._by_name.get(name)
        if found is None:
            raise NotFound(f"View {self.name} has no field {name!r}{did_you_mean(name, self._by_name)}")
        return found

    def key_value(self, key: Key) -> Key:
        """A key as given by a user, converted to the types of the key's fields. Raises Malformed."""
        parts: tuple[Any, ...] = (key,) if len(self.key) == 1 else key
        if not _is_tuple(parts) or len(parts) != len(self.key):
            raise Malformed(f"View {self.name} is found by {len(self.key)} values: {', '.join(self.key)}")
        columns = [self._by_name[name] for name in self.key]
        typed = [convert(part, column.type, f"$.{column.name}") for column, part in zip(columns, parts, strict=True)]
        return typed[0] if len(typed) == 1 else tuple(typed)

    def check(self, row: V) -> None:
        """Raises ValueError for a row whose values are not of its fields' types: rows are built unvalidated."""
        types = tuple(map(type, msgspec.structs.astuple(row)))
        if types in self._good:
            return
        for column in self.columns:
            value = getattr(row, column.name)
            if not (value is None and column.optional) and not _fits(column, value):
                raise ValueError(f"{self.name}.{column.name} got {type(value).__name__}, not {_shown(column.type)}")
        self._good.add(types)

    def _judge(self) -> None:
        if not self.key:
            raise TypeError(f'has no key: say class {self.view.__name__}(View, key="...")')
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


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple)


def _columns(view: type[View]) -> list[Column]:
    hints = get_type_hints(view, include_extras=True)
    return [_column(field.name, hints[field.name]) for field in msgspec.structs.fields(view)]


def _column(name: str, hint: Any) -> Column:
    scale = DEFAULT_SCALE
    while get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        scale = next((extra.digits for extra in extras if isinstance(extra, Scale)), scale)
    inner, optional = _without_none(hint)
    while get_origin(inner) is Annotated:
        inner, *extras = get_args(inner)
        scale = next((extra.digits for extra in extras if isinstance(extra, Scale)), scale)
    return Column(name, _kind(inner), optional, scale, inner)


def _without_none(hint: Any) -> tuple[Any, bool]:
    args = get_args(hint)
    if type(None) in args and get_origin(hint) is not Literal:
        rest: Any = None
        for arg in args:
            if arg is not type(None):
                rest = arg if rest is None else rest | arg
        return rest, True
    return hint, False


def _kind(hint: Any) -> Kind:
    info = shapes.type_info(hint)
    if isinstance(info, shapes.LiteralType):
        return _kind_of_values(info.values)
    if isinstance(info, shapes.EnumType):
        return _kind_of_values([member.value for member in info.cls])
    kinds: dict[type, Kind] = {
        shapes.StrType: Kind.TEXT,
        shapes.BoolType: Kind.BOOLEAN,
        shapes.IntType: Kind.INTEGER,
        shapes.FloatType: Kind.REAL,
        shapes.DecimalType: Kind.DECIMAL,
        shapes.DateTimeType: Kind.DATETIME,
        shapes.DateType: Kind.DATE,
        shapes.UUIDType: Kind.UUID,
        shapes.BytesType: Kind.BYTES,
    }
    return kinds.get(type(info), Kind.JSON)


def _kind_of_values(values: Iterable[object]) -> Kind:
    types = set(map(type, values))
    return Kind.TEXT if types == {str} else Kind.INTEGER if types == {int} else Kind.JSON


def _fits(column: Column, value: object) -> bool:
    if isinstance(column.type, type) and issubclass(column.type, Enum):
        return isinstance(value, column.type)
    if column.kind in (Kind.INTEGER, Kind.REAL) and isinstance(value, bool):
        return False
    if column.kind is Kind.DATE and isinstance(value, datetime):
        return False
    return isinstance(value, _PYTHON[column.kind])


def _described(column: Column) -> Any:
    return msgspec.json.schema(column.type) if column.kind is Kind.JSON else _shown(column.type)


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
