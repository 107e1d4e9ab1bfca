"""The catalogue: typed events to stored bytes and back, by stored name and schema."""

import zlib
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from diptych import Event
from diptych.errors import Malformed, UnreadableEvent
from diptych.log import (
    Codec,
    EventCatalogue,
    Metadata,
    RecordedEvent,
    StoredEvent,
    from_microseconds,
    id_text,
    to_microseconds,
)


class Renamed(Event, name="old-name", schema=3):
    amount: Decimal


class Enrolled(Event, tags=("student_id", "course_ids", "note")):
    student_id: str
    course_ids: list[int] = []  # noqa: RUF012 - a Struct copies it
    note: str | None = None


class Zipped:
    def encode(self, data: bytes) -> bytes:
        return zlib.compress(data)

    def decode(self, data: bytes) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error as error:
            raise ValueError(str(error)) from error


CATALOGUE = EventCatalogue([Renamed, Enrolled])
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057").bytes


def stored(type: str, schema: int, data: bytes) -> StoredEvent:
    return StoredEvent(7, "thing-1", type, schema, data)


@pytest.mark.parametrize("codec", [None, Zipped()])
def test_an_event_is_stored_by_name_and_schema_and_comes_back(codec: Codec | None) -> None:
    catalogue = EventCatalogue([Renamed, Enrolled], codec)
    event = Renamed(amount=Decimal("1.50"))
    new, same = catalogue.encode(event, ID)
    assert (new.type, new.schema, new.event_id, new.tags) == ("old-name", 3, ID, ())
    assert (new.data == b'{"amount":"1.50"}') is (codec is None)
    assert same == event
    assert catalogue.decode(stored("old-name", 3, new.data)) == event
    decode = catalogue.decoders[("old-name", 3)]
    assert decode(new.data) == event
    assert ("old-name", 2) not in catalogue.decoders


def test_a_tag_field_gives_a_tag_for_each_of_its_values_and_none_for_none() -> None:
    encode = CATALOGUE.encode
    assert encode(Enrolled(student_id="s 🙂", course_ids=[1, 22]), ID)[0].tags == (
        "student_id:s 🙂",
        "course_ids:1",
        "course_ids:22",
    )
    assert encode(Enrolled(student_id="a:b", note="x"), ID)[0].tags == ("student_id:a:b", "note:x")


@pytest.mark.parametrize("value", ["", "a\nb", "x" * 201])
def test_a_tag_is_held_to_the_rules_of_an_id(value: str) -> None:
    with pytest.raises(Malformed, match="Event Enrolled") as raised:
        CATALOGUE.encode(Enrolled(student_id=value), ID)
    assert raised.value.path == "$.student_id"


def test_an_event_that_is_not_valid_is_malformed_before_it_is_kept() -> None:
    with pytest.raises(Malformed, match="finite") as raised:
        CATALOGUE.encode(Renamed(amount=Decimal("NaN")), ID)
    assert raised.value.path == "$.amount"
    with pytest.raises(Malformed, match="Stranger"):
        CATALOGUE.encode(type("Stranger", (Event,), {})(), ID)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (stored("Unknown", 1, b"{}"), "no event of that stored name"),
        (stored("Renamed", 3, b"{}"), "no event of that stored name"),
        (stored("old-name", 4, b"{}"), "schema 4, and this context reads schema 3: newer code wrote it"),
        (stored("old-name", 3, b"{}"), "amount"),
        (stored("old-name", 3, b'{"amount":'), "truncated"),
        (stored("old-name", 3, b"\xff\xfe"), "malformed"),
        (stored("old-name", 3, b""), "truncated"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(event: StoredEvent, reason: str) -> None:
    with pytest.raises(UnreadableEvent, match=reason) as raised:
        CATALOGUE.decode(event)
    assert (raised.value.position, raised.value.stream, raised.value.type) == (7, "thing-1", event.type)


def test_bytes_of_another_codec_are_unreadable() -> None:
    with pytest.raises(UnreadableEvent, match="incorrect header"):
        EventCatalogue([Renamed], Zipped()).decode(stored("old-name", 3, b'{"amount":"1"}'))


def test_unknown_fields_of_a_newer_writer_are_passed_over() -> None:
    assert CATALOGUE.decode(stored("old-name", 3, b'{"amount":"1","new":[1]}')) == Renamed(amount=Decimal(1))


def test_a_field_that_was_added_has_its_default_in_events_from_before() -> None:
    class Noted(Event, name="old-name", schema=3):
        amount: Decimal
        note: str = "none"

    before = stored("old-name", 3, b'{"amount":"1"}')
    assert EventCatalogue([Noted]).decode(before) == Noted(amount=Decimal(1), note="none")


def test_an_event_comes_with_its_record() -> None:
    metadata = Metadata(command_id="c", correlation_id="o", causation_id="a", actor="é", traceparent="t")
    record = RecordedEvent(
        7,
        "thing-1",
        2,
        "old-name",
        3,
        ID,
        1_700_000_000_123_456,
        ("k:1",),
        b'{"amount":"1"}',
        msgspec.json.encode(metadata),
    )
    recorded = CATALOGUE.recorded(record)
    assert recorded.event == Renamed(amount=Decimal(1))
    assert (recorded.position, recorded.stream, recorded.version) == (7, "thing-1", 2)
    assert recorded.event_id == "01890a5d-ac96-774b-bcce-b302099a8057" == id_text(ID)
    assert recorded.recorded_at == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert (recorded.tags, recorded.metadata) == (("k:1",), metadata)


def test_only_an_event_that_no_decision_led_to_is_stored_as_manual() -> None:
    assert Metadata(command_id="c").stored() == b'{"command_id":"c"}'
    stored = Metadata(command_id="c", manual=True).stored()
    assert stored == b'{"command_id":"c","manual":true}'
    assert msgspec.json.decode(stored, type=Metadata).manual is True


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_microseconds_are_exact(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment
