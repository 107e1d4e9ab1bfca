"""What comes in as JSON says each thing once."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Command, Event
from diptych.errors import Malformed
from diptych.log import EventCatalogue, Upcaster
from diptych.messages import Shape
from diptych.messages.keys import check_keys


class Note(Command):
    note_id: str
    words: dict[str, int] = msgspec.field(default_factory=dict)
    anything: Any = None


class Noted(Event, schema=2):
    note_id: str


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b'{"note_id":"1","note_id":"2"}', "note_id"),
        (b'{"note_id":"1", "note\\u005fid" : "2"}', "note_id"),
        (b'{"note_id":"1","words":{"a":1,"b":2,"a":1}}', "a"),
        (b'{"note_id":"1","anything":[{"x":1},{"y":[{"z":1,"z":2}]}]}', "z"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_wherever_it_stands(data: bytes, key: str) -> None:
    with pytest.raises(Malformed, match=f"Key '{key}' is there more than once"):
        Shape(Note).received(data)


@pytest.mark.parametrize(("type", "schema"), [("Noted", None), ("Noted", 1), ("Gone", None)])
def test_a_fact_from_outside_says_each_thing_once_too(type: str, schema: int | None) -> None:
    catalogue = EventCatalogue([Noted], upcasters=[Upcaster(Noted, 1, dict)], retired=["Gone"])
    with pytest.raises(Malformed, match="Key 'note_id' is there more than once"):
        catalogue.stored(type, schema, b'{"note_id":"1","note_id":"2"}', bytes(16))


def test_a_key_may_be_there_once_in_each_of_several_objects() -> None:
    note, _ = Shape(Note).received(b'{"note_id":"a: \\"note_id\\":","words":{"note_id":1,"words":2}}')
    assert note == Note(note_id='a: "note_id":', words={"note_id": 1, "words": 2})


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_what_json_is_written_from_has_each_key_once(value: Any) -> None:
    check_keys(json.dumps(value).encode())
    check_keys(msgspec.json.encode(value) if "\\ud" not in json.dumps(value) else b"{}")


@pytest.mark.parametrize("part", [b"[" * 100_000 + b"]" * 100_000, b"9" * 5000], ids=["depth", "digits"])
def test_what_python_reads_at_no_price_is_refused(part: bytes) -> None:
    with pytest.raises(Malformed, match="This is not JSON"):
        check_keys(b'{"anything":' + part + b"}")
