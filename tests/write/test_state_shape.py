"""A state becomes JSON and the same state again, to the type of each number, or else is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from diptych.errors import Malformed
from diptych.write.state_shape import StateShape, is_same


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


@dataclass(frozen=True, slots=True)
class Everything:
    status: Literal["new", "placed"] = "new"
    count: int = 0
    share: float = 1.5
    total: Decimal = Decimal("1.50")
    at: datetime | None = None
    day: date = date(2026, 1, 31)
    id: UUID | None = None
    colour: Colour = Colour.RED
    pair: Pair | None = None
    names: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, int]] = frozenset()
    stock: Mapping[str, int] = field(default_factory=dict[str, int])
    raw: bytes = b""


class Packed(msgspec.Struct, frozen=True, tag=True):
    amount: Decimal = Decimal()


class Closed(msgspec.Struct, frozen=True, tag=True):
    pass


class Own:
    pass


FULL = Everything(
    "placed",
    3,
    2.0,
    Decimal("12.340"),
    datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
    id=UUID(int=7),
    pair=Pair(1, "a"),
    names=("b", "a"),
    tags=frozenset("xy"),
    pairs=frozenset({("a", 1), ("b", 2)}),
    stock={"z": 1, "a": 2},
    raw=b"\0\xff",
)


def with_(**fields: Any) -> Everything:
    return replace(FULL, **fields)


def shape(*kinds: Any, version: int = 1, initial: object = None) -> StateShape:
    return StateShape(kinds, version, initial)


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ((Everything,), FULL),
        ((Everything,), Everything()),
        ((Packed, Closed), Packed(Decimal("1.0"))),
        ((Packed, Closed), Closed()),
        ((int, type(None)), None),
        ((bool,), True),
        ((float,), 2.0),
        ((tuple[int, str],), (1, "a")),
        ((dict[str, list[int]],), {"b": [1], "a": []}),
        ((Any, int)[1:], 7),
    ],
)
def test_a_state_is_read_back_as_it_was_written(kinds: tuple[Any, ...], state: object) -> None:
    one = shape(*kinds)
    read = one.read(one.write(state))
    assert is_same(read, state)
    assert repr(read) == repr(state) or isinstance(state, Everything)


def test_a_mapping_keeps_its_order() -> None:
    one = shape(Everything)
    assert list(one.read(one.write(FULL)).stock) == ["z", "a"]


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (Everything, with_(share=2)),
        (Everything, with_(names=["a"])),
        (Everything, with_(names=(1,))),
        (Everything, with_(share=float("nan"))),
        (Everything, with_(total=Decimal("NaN"))),
        (Everything, with_(stock=MappingProxyType({"a": 1}))),
        (Everything, with_(at=datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")))),
        (Everything, with_(pairs=frozenset({("a", Own())}))),
        (Sequence[int], (1, 2)),
        (frozenset[float], frozenset({1})),
        (dict[str, Any], {"a": Decimal(1)}),
        (dict[str, int], {"a": "\ud800"}),
        (int, "text"),
    ],
)
def test_a_state_that_would_be_read_back_as_another_is_refused(kind: Any, state: object) -> None:
    with pytest.raises(Malformed):
        shape(kind).write(state)


@pytest.mark.parametrize("kinds", [(), (Any,), (object,), (int, Any), (Own,), (list[Own],), (Everything, Pair, Own)])
def test_a_type_that_json_does_not_give_back_has_no_shape(kinds: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        shape(*kinds)


def test_a_beginning_that_cannot_be_written_has_no_shape() -> None:
    with pytest.raises(TypeError, match="it cannot be written as JSON"):
        shape(int, initial=Own())


def test_two_kinds_that_json_cannot_tell_apart_have_no_shape() -> None:
    @dataclass(frozen=True)
    class Open:
        amount: int

    @dataclass(frozen=True)
    class Shut:
        amount: int

    with pytest.raises(TypeError):
        shape(Open, Shut)


def of_another_day(words: str) -> type[Any]:
    """An order's state as the code has it one day, with these words about it."""

    @dataclass(frozen=True)
    class Order:
        status: str = "new"

    Order.__doc__ = words
    return Order


def test_the_fingerprint_changes_with_type_version_and_beginning_and_with_nothing_else() -> None:
    order, later = of_another_day("An order."), of_another_day("An order, and what became of it.")
    before = shape(order, initial=order())
    others = [
        shape(order, version=2, initial=order()),
        shape(order, initial=order("old")),
        shape(order, type(None), initial=order()),
        shape(Everything, initial=order()),
    ]
    assert shape(later, initial=later()).fingerprint == before.fingerprint
    assert len({before.fingerprint, *[one.fingerprint for one in others]}) == 5


def test_times_of_one_moment_in_two_zones_are_not_the_same() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert is_same(noon, noon)
    assert not is_same(noon, noon.astimezone(timezone(timedelta(hours=1))))
