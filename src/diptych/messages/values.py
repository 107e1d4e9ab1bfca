"""What JSON Schema types cannot say about values: a Decimal is finite and of bounded size, a time has a zone.

`value_check` compiles, for a type, a function that finds the first value in it that breaks these rules, or None where
the type holds nothing to look at, so that a message without Decimals and times pays nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, time
from decimal import Decimal
from typing import Any, cast

import msgspec
from msgspec import inspect as shapes

from diptych.errors import Malformed

MAX_DIGITS = 28
"""Digits before and after the point that a Decimal may have: the precision of Python's default decimal context."""

MAX_ID = 200
"""Characters that an id may have: every backend can index it."""

Check = Callable[[Any], None]


def check_decimal(value: Decimal) -> None:
    """Raises Malformed unless the value is finite and has at most MAX_DIGITS digits on either side of the point."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise Malformed(f"Expected a finite decimal, got {value}")
    if exponent < -MAX_DIGITS or exponent > MAX_DIGITS or value.adjusted() >= MAX_DIGITS:
        raise Malformed(f"Expected a decimal of at most {MAX_DIGITS} digits before and after the point")


def check_zone(value: datetime | time) -> None:
    """Raises Malformed for a time without a zone, or one that UTC does not have."""
    if value.tzinfo is None:
        raise Malformed("Expected a time with a zone, such as 2026-01-31T12:00:00Z")
    if isinstance(value, datetime) and value.year in (MINYEAR, MAXYEAR):
        try:
            value.astimezone(UTC)
        except OverflowError:
            raise Malformed("Expected a time that exists in UTC as well") from None


def check_text(value: str, path: str) -> None:
    """Raises Malformed for text that has no UTF-8 form: half a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed("Expected text that has a UTF-8 form", path) from None


def check_id(value: object, path: str) -> str:
    """The id as text. Raises Malformed unless it has 1 to MAX_ID characters, none of them a control character."""
    text = value if isinstance(value, str) else str(value)
    if not 0 < len(text) <= MAX_ID:
        raise Malformed(f"Expected an id of 1 to {MAX_ID} characters, got {len(text)}", path)
    check_characters(text, path)
    return text


def check_characters(text: str, path: str) -> None:
    """Raises Malformed for an id, or a part of one, with a control character or half a surrogate pair."""
    if not text.isprintable() and any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text):
        raise Malformed("Expected an id without control characters", path)
    if not text.isascii():
        check_text(text, path)


def value_check(kind: Any) -> Check | None:
    """A function of a value of this type that raises Malformed with the path, or None where nothing needs a look.

    Raises TypeError for a type that has no JSON form.
    """
    return _Compiler().check(shapes.type_info(kind))


class _Compiler:
    """Compiles checks for a type, once for each Struct or dataclass in it: types may refer to themselves."""

    def __init__(self) -> None:
        self._records: dict[Any, _Record] = {}

    def check(self, info: shapes.Type) -> Check | None:  # noqa: C901 - one case for each kind
        match info:
            case shapes.DecimalType():
                return check_decimal
            case shapes.DateTimeType() | shapes.TimeType():
                return check_zone
            case shapes.StructType() | shapes.DataclassType():
                return self._record(info)
            case shapes.TypedDictType() | shapes.NamedTupleType():
                return self._any_of([field.type for field in info.fields])
            case shapes.ListType() | shapes.VarTupleType() | shapes.SetType() | shapes.FrozenSetType():
                return _each(self.check(info.item_type))
            case shapes.TupleType():
                return self._any_of(info.item_types)
            case shapes.DictType():
                return self._any_of([info.key_type, info.value_type])
            case shapes.UnionType():
                return self._any_of(info.types)
            case shapes.Metadata():
                return self.check(info.type)
            case shapes.CustomType():
                raise TypeError(f"{info.cls.__name__} has no JSON form")
            case _:
                return None

    def _any_of(self, infos: Iterable[shapes.Type]) -> Check | None:
        checks = [self.check(info) for info in infos]
        return check_anything if any(checks) else None

    def _record(self, info: shapes.StructType | shapes.DataclassType) -> Check | None:
        if (known := self._records.get(info.cls)) is not None:
            return known
        record = self._records[info.cls] = _Record()
        for field in info.fields:
            if (check := self.check(field.type)) is not None:
                record.fields.append((field.name, field.encode_name, check))
        if all(check is record for _, _, check in record.fields):
            return None
        return record


class _Record:
    """The checks of a Struct's or dataclass's fields."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[tuple[str, str, Check]] = []

    def __call__(self, value: Any) -> None:
        for name, shown, check in self.fields:
            try:
                check(getattr(value, name))
            except Malformed as error:
                raise under(f".{shown}", error) from None


def _each(check: Check | None) -> Check | None:
    if check is None:
        return None

    def each(values: Iterable[Any]) -> None:
        number = 0
        try:
            for number, value in enumerate(values):  # noqa: B007 - the number is for the error
                check(value)
        except Malformed as error:
            raise under(f"[{number}]", error) from None

    return each


def under(step: str, error: Malformed) -> Malformed:
    """The same complaint, one step further from the root."""
    return Malformed(error.detail, f"${step}{error.path[1:]}")


def check_anything(value: Any) -> None:
    """The slow way, by the value's own type: for unions, mappings and fixed tuples. Raises Malformed."""
    if isinstance(value, Decimal):
        check_decimal(value)
    elif isinstance(value, (datetime, time)):
        check_zone(value)
    else:
        for step, item in _parts(value):
            try:
                check_anything(item)
            except Malformed as error:
                raise under(step, error) from None


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    return [(f"[{key!r}]", part) for key, item in value.items() for part in (key, item)]


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """What a value consists of, each with its step of the path."""
    if isinstance(value, msgspec.Struct):
        return [(f".{field.encode_name}", getattr(value, field.name)) for field in msgspec.structs.fields(value)]
    if is_dataclass(value):
        return [(f".{field.name}", getattr(value, field.name)) for field in dataclass_fields(value)]
    if isinstance(value, Mapping):
        return _entries(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(f"[{number}]", item) for number, item in enumerate(cast("Iterable[Any]", value))]
    return ()
