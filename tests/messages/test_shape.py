"""Shapes: the way between typed messages and their JSON, the same for what was built in Python."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Command, Event, Meta, Query, View
from diptych.errors import Malformed
from diptych.messages import Shape, convert, to_json


class Place(Command, name="place-order"):
    order_id: str
    quantity: Annotated[int, Meta(gt=0)]
    price: Decimal = Decimal(1)
    status: Literal["new", "old"] = "new"


class Placed(Event):
    order_id: str


class Find(Query[list[str]]):
    text: str = ""


def test_a_message_built_in_python_is_held_to_the_same_rules_as_json() -> None:
    shape = Shape(Place)
    built = Place(order_id="1", quantity=0)
    with pytest.raises(Malformed) as from_python:
        shape.validated(built)
    with pytest.raises(Malformed) as from_json:
        shape.decode(b'{"order_id":"1","quantity":0}')
    assert str(from_python.value) == str(from_json.value)
    assert from_python.value.path == "$.quantity"


def test_a_valid_message_comes_back_with_its_canonical_json() -> None:
    command = Place(order_id="é🙂", quantity=2, price=Decimal("7.50"))
    same, data = Shape(Place).validated(command)
    assert same == command
    assert data == '{"order_id":"é🙂","quantity":2,"price":"7.50","status":"new"}'.encode()


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"order_id": 1, "quantity": 1}, "$.order_id"),
        ({"order_id": "1", "quantity": "1"}, "$.quantity"),
        ({"order_id": "1", "quantity": 1.5}, "$.quantity"),
        ({"order_id": "1", "quantity": True}, "$.quantity"),
        ({"order_id": "1", "quantity": 1, "status": "none"}, "$.status"),
        ({"order_id": "1", "quantity": 1, "price": None}, "$.price"),
        ({"order_id": "1"}, "$"),
        ({"order_id": "1", "quantity": 1, "colour": "red"}, "$"),
        ([], "$"),
        (None, "$"),
    ],
)
def test_what_does_not_fit_is_malformed_at_its_path(data: object, path: str) -> None:
    with pytest.raises(Malformed) as raised:
        Shape(Place).decode(json.dumps(data).encode())
    assert raised.value.path == path


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"order_id":"\xff"}', b"{" * 100_000, b"[" * 100_000, b'{"a":1}x']
)
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Shape(Place).decode(data)


@pytest.mark.parametrize("kind", [Place, Find])
def test_commands_and_queries_know_all_of_their_fields_and_events_pass_over_new_ones(kind: Any) -> None:
    with pytest.raises(Malformed):
        Shape(kind).decode(b'{"order_id":"1","quantity":1,"new":1}')
    assert Shape(Placed).decode(b'{"order_id":"1","new":[{}]}') == Placed(order_id="1")


@pytest.mark.parametrize(
    "value",
    [object(), {1, object()}, {"a": object()}, "\ud800", float],
    ids=["object", "set", "nested", "surrogate", "class"],
)
def test_a_value_without_json_form_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed, match="cannot be written as JSON"):
        Shape(Place).validated(Place(order_id=value, quantity=1))


def test_a_value_that_goes_in_circles_is_malformed() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(Malformed):
        to_json(circle)


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    )
)
def test_canonical_json_says_what_it_was_given_and_does_not_depend_on_order(value: Any) -> None:
    assert json.loads(to_json(value)) == value
    if isinstance(value, dict):
        assert to_json(dict(reversed(value.items()))) == to_json(value)


def test_canonical_json_of_special_values() -> None:
    value = (Decimal("1.50"), UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC), b"\xff", {"b": 1, "a": 2}, {3, 1, 2})
    assert to_json(value) == (
        b'["1.50","00000000-0000-0000-0000-000000000001","2026-01-01T00:00:00Z","/w==",{"a":2,"b":1},[1,2,3]]'
    )


def test_convert_is_strict_and_names_the_given_path() -> None:
    assert convert("2026-01-01T00:00:00Z", datetime, "$.at") == datetime(2026, 1, 1, tzinfo=UTC)
    assert convert(5, int, "$.n") == 5
    for value, kind in (("5", int), (5, str), (True, int), (None, int), ([1], list[str])):
        with pytest.raises(Malformed) as raised:
            convert(value, kind, "$.there")
        assert raised.value.path == "$.there"


def test_a_message_is_frozen_keyword_only_and_declares_its_name() -> None:
    class Row(View, key=("a", "b"), index="c", name="rows"):
        a: int
        b: int
        c: int = 0

    assert (Row.__declared__.name, Row.__declared__.key, Row.__declared__.index) == ("rows", ("a", "b"), ("c",))
    assert (Place.__declared__.name, Placed.__declared__.name, Placed.__declared__.schema) == (
        "place-order",
        "Placed",
        1,
    )
    row = Row(a=1, b=2)
    assert row.replace(c=3) == Row(a=1, b=2, c=3)
    assert row == Row(a=1, b=2)
    with pytest.raises(TypeError):
        row.replace(d=1)
    with pytest.raises(TypeError):
        Row(1, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(AttributeError):
        row.a = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(row, msgspec.Struct)
