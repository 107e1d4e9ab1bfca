"""Kept states: bounded by bytes that are honestly estimated, the one that was used the longest ago gone first."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pytest

from diptych.write.states import ENTRY_BYTES, States, size_of


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Slotted:
    text: str


@dataclass(frozen=True)
class Plain:
    text: str


class Packed(msgspec.Struct, frozen=True):
    text: str


LONG = "x" * 10_000
NEVER = 10**9


def test_a_state_is_given_back_with_its_version() -> None:
    states = States()
    states.keep("order-1", "state", 3, 100)

    kept = states.get("order-1")

    assert kept is not None
    assert (kept.state, kept.version) == ("state", 3)
    assert states.get("order-2") is None


def test_what_is_forgotten_takes_no_memory() -> None:
    states = States()
    states.keep("order-1", LONG, 1, 0)
    states.forget("order-1")
    states.forget("order-2")

    assert states.get("order-1") is None
    assert states.bytes == 0


def test_the_state_that_was_used_the_longest_ago_goes_first() -> None:
    states = States(100_000)
    for number in range(9):
        states.keep(str(number), LONG, 1, 0)
    assert states.get("0") is not None
    states.keep("9", LONG, 1, 0)

    assert states.get("1") is None
    assert states.get("0") is not None
    assert states.bytes <= 100_000


def test_a_state_that_is_large_for_the_memory_is_not_kept() -> None:
    states = States(8 * 10_000)
    states.keep("order-1", "small", 1, 0)
    states.keep("order-1", LONG, 2, 0)

    assert states.get("order-1") is None, "the older one is not kept in its place"
    assert states.bytes == 0


def test_a_state_grows_by_its_events_until_it_is_measured_again() -> None:
    states = States()
    states.keep("order-1", "", 100, 0)
    measured = states.bytes
    states.keep("order-1", "", 101, 5000)
    assert states.bytes == measured + 5000
    states.keep("order-1", "", 126, 5000)
    assert states.bytes == measured


@pytest.mark.parametrize(
    "state",
    [
        LONG,
        Slotted(LONG),
        Plain(LONG),
        Packed(LONG),
        [LONG],
        (1, LONG),
        {"key": LONG},
        {LONG: Decimal(1)},
        frozenset([LONG]),
        {"nested": [Slotted(LONG)]},
    ],
    ids=["text", "slots", "plain", "struct", "list", "tuple", "dict", "dict key", "set", "nested"],
)
def test_whatever_a_state_holds_is_counted(state: Any) -> None:
    assert 10_000 < size_of(state, NEVER) < 11_000


def test_what_is_held_twice_is_counted_once() -> None:
    assert size_of([LONG, LONG], NEVER) < 11_000


def test_what_is_there_anyway_is_not_counted() -> None:
    assert size_of((Colour.RED, None, True, Slotted), NEVER) == size_of((1, 2, 3, 4), NEVER) - 4 * 28


def test_counting_ends_over_the_bound() -> None:
    assert 1000 < size_of([str(number) * 20 for number in range(100_000)], 1000) < 1_000_000


def test_many_small_states_stay_within_the_memory() -> None:
    states = States(50 * ENTRY_BYTES)
    for number in range(1000):
        states.keep(f"order-{number}", Slotted("new"), 1, 10)

    assert 0 < states.bytes <= 50 * ENTRY_BYTES
    assert states.get("order-999") is not None
