"""Columns: what a field of a view holds, as every read store understands it, and which values it takes.

What a store makes of a column is the store's affair; what a column means stands here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from math import isnan
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin
from uuid import UUID

from msgspec import inspect as shapes

from diptych.errors import Malformed
from diptych.messages import Shape, convert
from diptych.messages.signature import options
from diptych.messages.values import check_anything, check_text

DEFAULT_SCALE = 6
"""Digits after the point of a Decimal column that declares no scale."""

MAX_SCALE = 18

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
"""What an integer column holds, and a Decimal column in units of its last digit: 64 bits."""

_TENS: list[int] = [10**power for power in range(64)]


class Scale(NamedTuple):
    """Digits after the point that a Decimal field of a view keeps: `Annotated[Decimal, Scale(2)]`.

    Nothing is rounded: a value with more digits does not fit, and its event is parked.
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
_KINDS: dict[type, Kind] = {
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


class Column(NamedTuple):
    """A field of a view. `scale` counts a Decimal's digits after the point; `type` is the annotation without None."""

    name: str
    kind: Kind
    optional: bool
    scale: int
    type: Any


def column_of(name: str, hint: Any) -> Column:
    """The column of a field with this annotation. Raises TypeError for a type that has no JSON form."""
    scale = DEFAULT_SCALE
    inner, optional = hint, False
    while True:
        if get_origin(inner) is Annotated:
            inner, *extras = get_args(inner)
            scale = next((extra.digits for extra in extras if isinstance(extra, Scale)), scale)
        elif NoneType in options(inner) and inner is not None:
            inner, optional = _without_none(inner), True
        else:
            break
    optional = optional or inner in (Any, object) or (get_origin(inner) is Literal and None in get_args(inner))
    return Column(name, _kind(inner), optional, scale, inner)


def typed_value(column: Column, value: object) -> Any:
    """A value as given by a user, in the type of the column. Raises Malformed, with the column as path."""
    path = f"$.{column.name}"
    if column.type is str and isinstance(value, str):
        if not value.isascii():
            check_text(value, path)
        return value
    if is_enum(column) and isinstance(value, column.type):
        return value
    typed = convert(value, column.type, path)
    try:
        check_anything(typed)
    except Malformed as error:
        raise Malformed(error.detail, path) from None
    if isinstance(typed, float) and isnan(typed):
        raise Malformed("Expected a number, got NaN", path)
    if isinstance(typed, str) and not typed.isascii():
        check_text(typed, path)
    return typed


def is_enum(column: Column) -> bool:
    """Whether the column holds the values of an Enum's members."""
    return isinstance(column.type, type) and issubclass(column.type, Enum)


def check_type(column: Column, value: object) -> None:
    """Raises ValueError for a value that is not of the column's Python type: rows are built unvalidated."""
    if value is None:
        fits = column.optional
    elif is_enum(column):
        fits = isinstance(value, column.type)
    elif (column.kind in (Kind.INTEGER, Kind.REAL) and isinstance(value, bool)) or (
        column.kind is Kind.DATE and isinstance(value, datetime)
    ):
        fits = False
    else:
        fits = isinstance(value, _PYTHON[column.kind])
    if not fits:
        raise ValueError(f"{column.name} got {type(value).__name__}, not {shown(column.type)}")


def value_checker(column: Column) -> Callable[[Any], object] | None:
    """A function that raises ValueError for a value of the right type that does not fit; None if there is none."""
    if is_enum(column):
        return None
    match column.kind:
        case Kind.TEXT:
            return str.encode
        case Kind.INTEGER:
            return integer
        case Kind.REAL:
            return real
        case Kind.DECIMAL:
            digits = column.scale
            return lambda value: scaled(value, digits)
        case Kind.DATETIME:
            return in_utc
        case Kind.JSON:
            return nested_json(column)
        case _:
            return None


def integer(value: int) -> int:
    """The same integer. Raises ValueError over 64 bits."""
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise ValueError(f"{value} does not fit 64 bits")
    return value


def real(value: float) -> float:
    """The number as a float. Raises ValueError for NaN, which has no order, and for an integer that no float equals."""
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("this integer is too large for a float") from None
    if number != value:
        raise ValueError(f"{value} is not a number that a float can hold")
    return number


def scaled(value: Decimal, digits: int) -> int:
    """A Decimal as an integer of 10^-digits. Raises ValueError where that would round, or does not fit 64 bits."""
    sign, figures, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a finite decimal")  # noqa: TRY004 - its type is right
    shift = exponent + digits
    if not -60 <= shift <= 40:
        raise ValueError(f"{value} does not fit a column with {digits} digits after the point")
    number = 0
    for figure in figures:
        number = number * 10 + figure
    if shift >= 0:
        number *= _TENS[shift]
    else:
        number, rest = divmod(number, _TENS[-shift])
        if rest:
            raise ValueError(f"{value} has more than {digits} digits after the point; declare a larger Scale for it")
    number = -number if sign else number
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise ValueError(f"{value} does not fit a column with {digits} digits after the point")
    return number


def in_utc(value: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for a time without a zone, or one that UTC does not have."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value} has no form in UTC") from None


def nested_json(column: Column) -> Callable[[Any], bytes]:
    """The function from a nested value to its JSON, which raises ValueError unless it comes back from it as it was."""
    validated = Shape(column.type).validated
    name = column.name

    def to_stored(value: Any) -> bytes:
        try:
            back, data = validated(value)
        except Malformed as error:
            raise ValueError(f"{name}: {error}") from None
        if back != value:
            raise ValueError(f"{name}: {value!r} does not come back from JSON as it was")
        return data

    return to_stored


def shown(kind: Any) -> str:
    """A type as it is written."""
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _without_none(hint: Any) -> Any:
    rest: Any = None
    for option in options(hint):
        if option is not NoneType:
            rest = option if rest is None else rest | option
    return rest


def _kind(hint: Any) -> Kind:
    info = shapes.type_info(hint)
    if isinstance(info, shapes.LiteralType):
        return _kind_of_values(info.values)
    if isinstance(info, shapes.EnumType):
        return _kind_of_values([member.value for member in info.cls])
    return _KINDS.get(type(info), Kind.JSON)


def _kind_of_values(values: Iterable[object]) -> Kind:
    types = {type(value) for value in values if value is not None}
    return Kind.TEXT if types == {str} else Kind.INTEGER if types == {int} else Kind.JSON
