"""The shape of a view: what its columns mean, what makes no sense, and when it is another shape."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest

from diptych import Meta, Scale, View
from diptych.errors import Malformed, NotFound
from diptych.read import Kind, ViewShape


class Colour(Enum):
    RED = "red"


class Row(View, key="id"):
    id: str
    number: Annotated[int, Meta(ge=0)] = 0
    money: Annotated[Decimal, Scale(2)] = Decimal()
    maybe_money: Annotated[Decimal | None, Scale(3)] = None
    money_maybe: Annotated[Decimal, Scale(4)] | None = None
    exact: Decimal = Decimal()
    colour: Colour | None = None
    word: Literal["a", "b"] | None = None
    digit: Literal[1, 2] = 1
    names: list[str] = []  # noqa: RUF012 - a Struct copies it
    either: int | str = 0
    raw: bytes | None = None
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    day: date | None = None
    uuid: UUID | None = None
    real: float = 0
    flag: bool = False


@pytest.mark.parametrize(
    ("name", "kind", "optional", "scale"),
    [
        ("id", Kind.TEXT, False, 6),
        ("number", Kind.INTEGER, False, 6),
        ("money", Kind.DECIMAL, False, 2),
        ("maybe_money", Kind.DECIMAL, True, 3),
        ("money_maybe", Kind.DECIMAL, True, 4),
        ("exact", Kind.DECIMAL, False, 6),
        ("colour", Kind.TEXT, True, 6),
        ("word", Kind.TEXT, True, 6),
        ("digit", Kind.INTEGER, False, 6),
        ("names", Kind.JSON, False, 6),
        ("either", Kind.JSON, False, 6),
        ("raw", Kind.BYTES, True, 6),
        ("at", Kind.DATETIME, False, 6),
        ("day", Kind.DATE, True, 6),
        ("uuid", Kind.UUID, True, 6),
        ("real", Kind.REAL, False, 6),
        ("flag", Kind.BOOLEAN, False, 6),
    ],
)
def test_a_column_is_read_from_its_annotation(name: str, kind: Kind, *, optional: bool, scale: int) -> None:
    column = ViewShape(Row).column(name)
    assert (column.kind, column.optional, column.scale) == (kind, optional, scale)


def test_an_unknown_field_is_not_found_and_the_nearest_is_named() -> None:
    with pytest.raises(NotFound, match="did you mean 'number'"):
        ViewShape(Row).column("nubmer")


def view(**options: Any) -> type[View]:
    """A view class with these fields and class keywords."""
    fields = options.pop("fields", {"id": str})
    make: Any = type(View)
    made: type[View] = make("Made", (View,), {"__annotations__": fields, "__module__": __name__}, **options)
    return made


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "has no key"),
        ({"key": "nothing"}, "'nothing'"),
        ({"key": "id", "index": "nothing"}, "'nothing'"),
        ({"key": "id", "fields": {"id": str | None}}, "not None"),
        ({"key": "id", "fields": {"id": list[str]}}, "plain value"),
        ({"key": "id", "fields": {"id": str, "x": Annotated[Decimal, Scale(19)]}}, "scale of 19"),
        ({"key": "id", "fields": {"id": str, "x": Annotated[Decimal, Scale(-1)]}}, "scale of -1"),
    ],
)
def test_a_view_that_makes_no_sense_says_why(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        ViewShape(view(**options))


def test_a_fingerprint_changes_with_what_is_stored_and_with_nothing_else() -> None:
    def fingerprint(version: int = 1, **options: Any) -> str:
        return ViewShape(view(**({"key": "id"} | options)), version).fingerprint

    fields: dict[str, Any] = {"id": str, "x": Decimal}
    same = {fingerprint(fields=fields), fingerprint(fields=dict(fields)), fingerprint(fields=fields, version=1)}
    assert len(same) == 1
    different = [
        fingerprint(fields=fields, version=2),
        fingerprint(fields=fields, name="another"),
        fingerprint(fields=fields, index="x"),
        fingerprint(fields=fields, key=("id", "x")),
        fingerprint(fields=fields, key=("x", "id")),
        fingerprint(fields=fields | {"y": int}),
        fingerprint(fields={"id": str, "x": int}),
        fingerprint(fields={"id": str, "x": Decimal | None}),
        fingerprint(fields={"id": str, "x": Annotated[Decimal, Scale(2)]}),
        fingerprint(fields={"id": str, "x": list[int]}),
        fingerprint(fields={"id": str, "x": list[str]}),
        fingerprint(fields={"id": str, "y": Decimal}),
        *same,
    ]
    assert len(set(different)) == len(different)


def test_a_users_key_is_typed_strictly() -> None:
    shape = ViewShape(view(key=("id", "day"), fields={"id": int, "day": date}))
    day = date(2026, 1, 1)
    assert shape.key_value((1, day)) == (1, day)
    assert shape.key_value((1, "2026-01-01")) == (1, day)
    for key in (1, (1,), (1, day, 2), ("1", day), (1, None), [1, day], None):
        with pytest.raises(Malformed):
            shape.key_value(key)
    single = ViewShape(Row)
    assert single.key_value("x") == "x"
    with pytest.raises(Malformed):
        single.key_value(1)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 1},
        {"id": None},
        {"number": "1"},
        {"number": True},
        {"number": 1.0},
        {"money": 1},
        {"money": 1.5},
        {"colour": "red"},
        {"raw": "x"},
        {"at": "2026-01-01"},
        {"at": date(2026, 1, 1)},
        {"day": datetime(2026, 1, 1, tzinfo=UTC)},
        {"uuid": "x"},
        {"real": "1"},
        {"real": True},
        {"flag": 1},
        {"digit": "1"},
    ],
    ids=str,
)
def test_a_row_of_the_wrong_types_is_noticed_also_after_a_good_one(change: dict[str, Any]) -> None:
    shape = ViewShape(Row)
    shape.check(Row(id="1"))
    fields: dict[str, Any] = {"id": "1", **change}
    with pytest.raises(ValueError, match=next(iter(change))):
        shape.check(Row(**fields))
    shape.check(Row(id="1", raw=b"", colour=Colour.RED, real=1, day=date(2026, 1, 1)))
