"""Values that JSON types cannot rule out: Decimals without bound, times without a zone, ids that nobody can index."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Command
from diptych.errors import Malformed
from diptych.messages import Shape, check_id, value_check

T = TypeVar("T")
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
AWARE = NAIVE.replace(tzinfo=UTC)
NAN = Decimal("NaN")


@dataclass(frozen=True)
class Line:
    price: Decimal
    at: datetime | None = None


class Pair(NamedTuple):
    first: Decimal
    second: int = 0


class Options(TypedDict):
    limit: Decimal


class Tree(msgspec.Struct, frozen=True):
    value: Decimal
    children: list["Tree"] = []


class Box(msgspec.Struct, Generic[T], frozen=True):
    content: T


class Mixed(msgspec.Struct, frozen=True, rename="camel"):
    unit_price: Decimal


class Everywhere(Command):
    price: Decimal = Decimal()
    at: datetime = AWARE
    clock: time = time(12, tzinfo=UTC)
    maybe: Decimal | None = None
    either: datetime | int = 0
    lines: list[Line] = []  # noqa: RUF012 - a Struct copies it
    nested: list[list[Decimal]] = []  # noqa: RUF012 - a Struct copies it
    pair: Pair = Pair(Decimal())
    fixed: tuple[int, Decimal] = (0, Decimal())
    many: tuple[Decimal, ...] = ()
    some: frozenset[Decimal] = frozenset()
    named: dict[str, Line] = {}  # noqa: RUF012 - a Struct copies it
    options: Options | None = None
    only_options: Options = msgspec.field(default_factory=lambda: Options(limit=Decimal()))
    tree: Tree = Tree(Decimal())
    mixed: Mixed = Mixed(Decimal())


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"price": NAN}, "$.price"),
        ({"at": NAIVE}, "$.at"),
        ({"clock": time(12)}, "$.clock"),
        ({"maybe": NAN}, "$.maybe"),
        ({"either": NAIVE}, "$.either"),
        ({"lines": [Line(Decimal()), Line(NAN)]}, "$.lines[1].price"),
        ({"lines": [Line(Decimal(), NAIVE)]}, "$.lines[0].at"),
        ({"nested": [[], [Decimal(), NAN]]}, "$.nested[1][1]"),
        ({"pair": Pair(NAN)}, "$.pair[0]"),
        ({"fixed": (1, NAN)}, "$.fixed[1]"),
        ({"many": (Decimal(), NAN)}, "$.many[1]"),
        ({"some": frozenset([NAN])}, "$.some[0]"),
        ({"named": {"x": Line(NAN)}}, "$.named['x'].price"),
        ({"options": {"limit": NAN}}, "$.options['limit']"),
        ({"only_options": {"limit": NAN}}, "$.only_options['limit']"),
        ({"tree": Tree(Decimal(), [Tree(Decimal(), [Tree(NAN)])])}, "$.tree.children[0].children[0].value"),
        ({"mixed": Mixed(NAN)}, "$.mixed.unitPrice"),
    ],
    ids=str,
)
def test_a_bad_value_is_found_wherever_it_is_and_its_path_is_named(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Malformed) as raised:
        Shape(Everywhere).validated(Everywhere(**change))
    assert raised.value.path == path
    assert f"at `{path}`" in str(raised.value)


def test_good_values_pass_everywhere() -> None:
    command = Everywhere(
        price=Decimal("-1.5"),
        at=datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        maybe=Decimal(1),
        either=AWARE,
        lines=[Line(Decimal(1), AWARE)],
        named={"x": Line(Decimal(2))},
        tree=Tree(Decimal(), [Tree(Decimal())]),
    )
    assert Shape(Everywhere).validated(command)[0] == command


def test_two_uses_of_one_generic_type_are_told_apart() -> None:
    class Boxes(Command):
        number: Box[int]
        price: Box[Decimal]

    with pytest.raises(Malformed) as raised:
        Shape(Boxes).validated(Boxes(number=Box(1), price=Box(NAN)))
    assert raised.value.path == "$.price.content"


@pytest.mark.parametrize("kind", [int, str, list[int], dict[str, bool], Line | None, Any])
def test_a_type_without_decimals_and_times_costs_nothing(kind: Any) -> None:
    record = msgspec.defstruct("Record", [("value", kind)])
    assert (value_check(record) is None) is (kind != Line | None)


def test_a_type_that_refers_to_itself_is_checked() -> None:
    class Plain(msgspec.Struct):
        children: Mapping[str, list["Plain"]] = {}

    assert value_check(Tree) is not None


BOUNDS = [
    ("0", True),
    ("-0", True),
    ("9" * 28, True),
    ("-" + "9" * 28, True),
    ("9" * 29, False),
    ("0." + "0" * 27 + "1", True),
    ("0." + "0" * 28 + "1", False),
    ("9" * 28 + "." + "9" * 28, True),
    ("1E+27", True),
    ("1E+28", False),
    ("0E+27", True),
    ("0E+28", False),
    ("1E-28", True),
    ("1E-29", False),
    ("0E-29", False),
    ("1E+999999", False),
    ("1E-999999", False),
    ("0E+999999", False),
    ("NaN", False),
    ("sNaN", False),
    ("-Infinity", False),
]


class Priced(Command):
    price: Decimal


@pytest.mark.parametrize(("text", "good"), BOUNDS)
def test_a_decimal_is_finite_and_of_bounded_size(text: str, *, good: bool) -> None:
    shape = Shape(Priced)
    data, built = b'{"price":"%s"}' % text.encode(), Priced(price=Decimal(text))
    if good:
        assert shape.decode(data).price == shape.validated(built)[0].price == Decimal(text)
        return
    with pytest.raises(Malformed) as from_json:
        shape.decode(data)
    with pytest.raises(Malformed) as from_python:
        shape.validated(built)
    assert from_json.value.path == from_python.value.path == "$.price"


@pytest.mark.parametrize(
    "text",
    [
        "1E+99999999999999999999",
        "1E-99999999999999999999",
        "1" + "0" * 5000,
        "",
        " ",
        "x",
        "0x1",
        "1_0" * 3,
        "٣",
        "1e",
        "--1",
    ],
    ids=lambda text: text[:12],
)
def test_no_text_makes_a_decimal_that_breaks_the_reader(text: str) -> None:
    for raw in (f'"{text}"', text):
        try:
            message = Shape(Priced).decode(f'{{"price":{raw}}}'.encode())
        except Malformed:
            continue
        assert message.price.is_finite()
        assert abs(message.price) < Decimal("1E+28")


@given(data=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        assert isinstance(Shape(Priced).decode(data), Priced)
    except Malformed:
        return


@pytest.mark.parametrize("id", ["1", "a/b", "100%", "it's", '"', ";", "🙂", "x" * 200, " ", "a-b", 7, "é", "\u2028"])
def test_an_id_may_hold_what_can_be_printed(id: object) -> None:
    assert check_id(id, "$") == str(id)


@pytest.mark.parametrize(
    "id", ["", "x" * 201, "a\0b", "a\nb", "\t", "\x7f", "\x80", "\x9f", "\ud800", "a\udfffb"], ids=ascii
)
def test_an_id_is_short_and_holds_what_can_be_stored(id: str) -> None:
    with pytest.raises(Malformed) as raised:
        check_id(id, "$.id")
    assert raised.value.path == "$.id"
