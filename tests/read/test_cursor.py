"""Cursors: they lead on from a row, for the question that they were given for and no other."""

import base64
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import View, ge
from diptych.errors import Malformed
from diptych.read import Order, Selector, ViewShape
from diptych.read.cursor import read_cursor, write_cursor
from diptych.read.filters import Compared


class Colour(Enum):
    RED = "red"


class Size(Enum):
    SMALL = 1


class Row(View, key="id"):
    id: str
    number: int = 0
    real: float = 0.0
    flag: bool = False
    amount: Decimal | None = None
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    day: date = date(2026, 1, 1)
    uuid: UUID = UUID(int=0)
    raw: bytes = b""
    colour: Colour = Colour.RED
    size: Size = Size.SMALL


SHAPE = ViewShape(Row)


def by(*fields: str, **filters: Any) -> Selector:
    order = tuple([Order(field.removeprefix("-"), field.startswith("-")) for field in fields])
    return Selector(tuple(filters.items()), order)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.text(st.characters(exclude_categories=["Cs"])),
    "number": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False),
    "flag": st.booleans(),
    "amount": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=6),
    "at": st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])),
    "day": st.dates(),
    "uuid": st.uuids(),
    "raw": st.binary(),
    "colour": st.sampled_from(Colour),
    "size": st.sampled_from(Size),
}


@pytest.mark.parametrize("field", VALUES)
@given(data=st.data())
def test_a_cursor_holds_any_value_that_rows_are_ordered_by(field: str, data: st.DataObject) -> None:
    value, id = data.draw(VALUES[field]), data.draw(VALUES["id"])
    question = by(field, "id")
    cursor = write_cursor(SHAPE, question, [value, id])
    assert read_cursor(SHAPE, question, cursor) == (value, id)
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum(), "it can stand in an address"


class Other(View, key="id", name="Row"):
    id: str
    number: int = 0


@pytest.mark.parametrize(
    ("shape", "question"),
    [
        (SHAPE, by("number")),
        (SHAPE, by("-number", "id")),
        (SHAPE, by("id", "number")),
        (SHAPE, by("number", "id", number=Compared("=", 1))),
        (SHAPE, by("number", "id", number=ge(2))),
        (ViewShape(Row, 2), by("number", "id", number=ge(1))),
        (ViewShape(Other), by("number", "id", number=ge(1))),
    ],
)
def test_a_cursor_of_another_question_is_malformed(shape: ViewShape[Any], question: Selector) -> None:
    cursor = write_cursor(SHAPE, by("number", "id", number=ge(1)), [5, "x"])
    assert read_cursor(SHAPE, by("number", "id", number=ge(1)), cursor) == (5, "x")
    with pytest.raises(Malformed) as raised:
        read_cursor(shape, question, cursor)
    assert raised.value.path == "$.cursor"


@given(number=st.integers(0, 10_000), char=st.sampled_from("AZaz09-_=+/ \n.é\0"))
def test_a_changed_cursor_is_malformed_or_says_the_same(number: int, char: str) -> None:
    question = by("number", "id")
    cursor = write_cursor(SHAPE, question, [5, "some id"])
    number %= len(cursor)
    for changed in (cursor[:number] + char + cursor[number + 1 :], cursor[:number], cursor + char, char + cursor):
        try:
            assert read_cursor(SHAPE, question, changed) == (5, "some id")
        except Malformed:
            continue


@given(cursor=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_other_text_is_malformed(cursor: str) -> None:
    with pytest.raises(Malformed):
        read_cursor(SHAPE, by("number", "id"), cursor)


def test_the_limit_is_no_part_of_the_question() -> None:
    cursor = write_cursor(SHAPE, by("id")._replace(limit=5), ["x"])
    assert read_cursor(SHAPE, by("id")._replace(limit=50, after=("a",)), cursor) == ("x",)
