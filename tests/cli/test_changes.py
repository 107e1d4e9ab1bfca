from dataclasses import dataclass
from typing import Any

import pytest

from diptych.cli.event_store.changes import as_text, changes, plain


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (1, 2, ["~ (state): 1 → 2"]),
        (1, 1, []),
        ({}, {"a": None}, ["+ a: null"]),
        ({"a": None}, {}, ["- a: null"]),
        ({"a": {}}, {"a": {"b": 1}}, ["+ a.b: 1"]),
        ({"a": [1, 2]}, {"a": []}, ["- a[0]: 1", "- a[1]: 2"]),
        ({"a": [1]}, {"a": 1}, ["+ a: 1", "- a[0]: 1"]),
        ({"a": [], "b": 1}, {"b": 1}, ["- a: []"]),
        ({"a": 1}, {"a": True}, ["~ a: 1 → true"]),
    ],
)
def test_a_change_is_a_line_for_each_leaf(before: Any, after: Any, lines: list[str]) -> None:
    assert [as_text(change) for change in changes(before, after)] == lines


class Odd:
    def __repr__(self) -> str:
        return "Odd()"


@dataclass
class Holder:
    inner: Odd
    tags: frozenset[str] = frozenset({"b", "a"})


def test_a_state_of_any_kind_has_a_plain_form() -> None:
    assert plain(Odd()) == "Odd()"
    assert plain(Holder(Odd())) == {"inner": "Odd()", "tags": ["a", "b"]}
    assert plain({(1, 2): 3}) == "{(1, 2): 3}"
