"""The checker of histories finds an order where there is one, and none where there is none."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.testing.linearizability import EVER, NotLinearizable, Operation, linearize

Register = Operation[str, int]


def register(value: int, call: str, answer: int | None) -> int | None:
    """A number that is read, written, and counted up: `read`, `write 5`, `add`, which tells the number after it."""
    match call.split():
        case ["write", number]:
            return value if int(number) == value else int(number)
        case ["add"]:
            return value + 1 if answer in (None, value + 1) else None
        case _:
            return value if answer in (None, value) else None


def is_linear(*history: Register) -> bool:
    try:
        linearize(history, 0, register)
    except NotLinearizable:
        return False
    return True


@pytest.mark.parametrize(
    ("expected", "history"),
    [
        (True, []),
        (True, [Operation("write 1", 0, 0, 1), Operation("read", 1, 2, 3)]),
        (False, [Operation("write 1", 0, 0, 1), Operation("read", 0, 2, 3)]),  # stale
        (True, [Operation("write 1", 0, 0, 3), Operation("read", 0, 1, 2)]),  # at the same time
        (True, [Operation("write 1", 0, 0, 3), Operation("read", 1, 1, 2)]),
        (True, [Operation("write 1", 0, 0, 1), Operation("read", 0, 1, 2)]),  # in the same moment
        (False, [Operation("write 1", 0, 0, 9), Operation("read", 1, 1, 2), Operation("read", 0, 3, 4)]),  # and back
        (False, [Operation("add", 1, 0, 9), Operation("add", 1, 0, 9)]),  # two winners
        (True, [Operation("add", 2, 0, 9), Operation("add", 1, 0, 9)]),
        (False, [Operation("add", 2, 0, 1), Operation("add", 1, 2, 3)]),  # against the times
        (True, [Operation("add", None, 0, EVER), Operation("read", 0, 2, 3)]),  # it never came about
        (True, [Operation("add", None, 0, EVER), Operation("read", 0, 2, 3), Operation("read", 1, 4, 5)]),  # late
        (False, [Operation("add", None, 0, EVER), Operation("read", 1, 2, 3), Operation("read", 0, 4, 5)]),
        (False, [Operation("add", None, 2, EVER), Operation("read", 1, 0, 1)]),  # before it was called
        (False, [Operation("add", None, 0, EVER), Operation("read", 2, 2, 3)]),  # twice
    ],
)
def test_a_history_is_judged(expected: bool, history: list[Register]) -> None:
    assert is_linear(*history) == expected


def orders(history: list[Register]) -> Iterator[list[Register]]:
    """Every order of the operations that their times allow, with and without those that never returned."""
    told = [operation for operation in history if operation.returned != EVER]
    others = [operation for operation in history if operation.returned == EVER]
    for count in range(len(others) + 1):
        for some in itertools.combinations(others, count):
            for order in itertools.permutations([*told, *some]):
                if not any(later.returned < one.called for one, later in itertools.combinations(order, 2)):
                    yield list(order)


def explains(order: list[Register]) -> bool:
    value: int | None = 0
    for operation in order:
        value = None if value is None else register(value, operation.call, operation.answer)
    return value is not None


OPERATIONS = st.builds(
    lambda call, answer, called, took, told: Operation(
        call, answer if told else None, called, called + took if told else EVER
    ),
    st.sampled_from(["read", "read", "add", "write 1", "write 2"]),
    st.integers(0, 3),
    st.integers(0, 6),
    st.integers(0, 4),
    st.sampled_from([True, True, True, False]),
)


@given(st.lists(OPERATIONS, max_size=5))
def test_the_search_finds_what_trying_everything_finds(history: list[Register]) -> None:
    found = any(explains(order) for order in orders(history))
    assert is_linear(*history) == found
    if found:
        order = linearize(history, 0, register)
        assert explains(order)
        assert order in list(orders(history))


def test_many_readers_at_once_are_no_riddle() -> None:
    writes = [Operation("add", number, 0, 100) for number in range(1, 13)]
    readers = [Operation("read", number % 13, 0, 100) for number in range(500)]
    assert is_linear(*writes, *readers)
    assert not is_linear(*writes, *readers, Operation("read", 13, 0, 100))


def test_an_error_shows_where_the_search_came_to_an_end() -> None:
    history = [Operation("add", 1, 0, 1), Operation("add", 2, 2, 3), Operation("read", 7, 4, 5)]
    with pytest.raises(NotLinearizable) as raised:
        linearize(history, 0, register)
    words = str(raised.value)
    assert words.startswith("2 of 3 operations have an order")
    assert "call='read', answer=7" in words.partition("the last ones")[0]
    assert words.endswith("and the state after them:\n  2")
