"""A query's fields as parameters of an address: scalars, and lists of scalars by repeating the parameter.

Text becomes a number or a boolean only where the field wants one and the text is one as JSON writes it; all else is
left to the message's own check, so that an address says no more and no less than a body would.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from msgspec import inspect as shapes

from diptych.errors import Malformed
from diptych.messages import Shape

M = TypeVar("M")

MAX_PARAMETERS = 1000

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")

Read = Callable[[str], object]

SCALARS = (
    shapes.BoolType,
    shapes.IntType,
    shapes.FloatType,
    shapes.StrType,
    shapes.DateTimeType,
    shapes.TimeType,
    shapes.DateType,
    shapes.TimeDeltaType,
    shapes.UUIDType,
    shapes.DecimalType,
    shapes.EnumType,
    shapes.LiteralType,
    shapes.NoneType,
)
LISTS = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType)


class Parameters(Generic[M]):
    """Reads messages of one type from the part of an address after the question mark.

    `fields` has what can be said there, by its published name; `enough` tells whether that can make a message.
    """

    def __init__(self, shape: Shape[M]) -> None:
        self._shape = shape
        described = shapes.type_info(shape.kind)
        assert isinstance(described, shapes.StructType)  # noqa: S101 - a query is one
        self.fields = {field.encode_name: field for field in described.fields if is_plain(field.type)}
        self.enough = all(field.encode_name in self.fields for field in described.fields if field.required)
        self._reads = {name: _reader(scalars(field.type)) for name, field in self.fields.items()}
        self._lists = {name for name, field in self.fields.items() if is_list(field.type)}
        self._bodily = {field.encode_name for field in described.fields} - set(self.fields)

    def read(self, text: bytes) -> M:
        """The message in the address. Raises Malformed, with the path of the field that is wrong."""
        values: dict[str, Any] = {}
        for name, value in _pairs(text):
            read = self._reads.get(name)
            item = value if read is None else read(value)
            if name in self._lists:
                values.setdefault(name, []).append(item)
            elif name in values:
                raise Malformed("Parameter is given twice", f"$.{name}")
            elif name in self._bodily:
                raise Malformed("This field has no place in an address; send the query by POST", f"$.{name}")
            else:
                values[name] = item
        return self._shape.converted(values)


def is_plain(info: shapes.Type) -> bool:
    """Whether a field of this type can be said in an address."""
    return all(isinstance(option, SCALARS) for option in scalars(info))


def is_list(info: shapes.Type) -> bool:
    """Whether the field takes any number of values."""
    return any(isinstance(option, LISTS) for option in _options(info))


def scalars(info: shapes.Type) -> list[shapes.Type]:
    """What one parameter of the field may hold: the alternatives of the field, or those of its items."""
    found: list[shapes.Type] = []
    for option in _options(info):
        found += _options(option.item_type) if isinstance(option, LISTS) else [option]
    return found


def _options(info: shapes.Type) -> list[shapes.Type]:
    match info:
        case shapes.Metadata():
            return _options(info.type)
        case shapes.UnionType():
            return [option for part in info.types for option in _options(part)]
        case _:
            return [info]


def _reader(kinds: Iterable[shapes.Type]) -> Read | None:
    """A function from a parameter's text to a value, or None where it stays text."""
    members = [member for kind in kinds for member in _members(kind)]
    booleans = any(isinstance(member, bool) for member in members)
    integers = any(isinstance(member, int) and not isinstance(member, bool) for member in members)
    floats = any(isinstance(member, float) for member in members)
    if not (booleans or integers or floats):
        return None

    def read(text: str) -> object:
        if booleans and text in ("true", "false"):
            return text == "true"
        if integers and _INTEGER.fullmatch(text):
            return int(text)
        if floats and _NUMBER.fullmatch(text):
            return float(text)
        return text

    return read


def _members(kind: shapes.Type) -> list[object]:
    """Values that stand for what a type holds."""
    match kind:
        case shapes.BoolType():
            return [True]
        case shapes.IntType():
            return [0]
        case shapes.FloatType():
            return [0.0]
        case shapes.EnumType():
            return [member.value for member in kind.cls]
        case shapes.LiteralType():
            return list(kind.values)
        case _:
            return []


def _pairs(text: bytes) -> Iterable[tuple[str, str]]:
    """The pairs of `application/x-www-form-urlencoded`, in UTF-8. Raises Malformed."""
    if not text:
        return []
    parts = text.split(b"&", MAX_PARAMETERS)
    if len(parts) > MAX_PARAMETERS:
        raise Malformed(f"An address has at most {MAX_PARAMETERS} parameters here; send the query by POST")
    return [(_decoded(name), _decoded(value)) for name, _, value in (part.partition(b"=") for part in parts if part)]


def _decoded(text: bytes) -> str:
    try:
        if b"%" in text or b"+" in text:
            text = unquote_to_bytes(text.replace(b"+", b" "))
        return text.decode()
    except UnicodeDecodeError:
        raise Malformed("A parameter is not UTF-8") from None
