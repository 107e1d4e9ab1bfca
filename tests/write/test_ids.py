"""New ids: UUIDs of version 7 by time, and those that a moment derives from its command."""

from datetime import UTC, datetime
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from diptych.write import Moment, uuid7

MOMENTS = st.integers(0, 2**48 - 1)
RANDOMNESS = st.binary(min_size=10, max_size=10)


@given(milliseconds=MOMENTS, randomness=RANDOMNESS)
def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front(milliseconds: int, randomness: bytes) -> None:
    id = uuid7(milliseconds, randomness)
    uuid = UUID(bytes=id)
    assert len(id) == 16
    assert (uuid.version, uuid.variant) == (7, RFC_4122)
    assert uuid.int >> 80 == milliseconds
    mask = (1 << 80) - 1 - (0xF << 76) - (0x3 << 62)
    assert uuid.int & mask == int.from_bytes(randomness, "big") & mask, "74 bits of it are random"


@given(earlier=MOMENTS, later=MOMENTS, first=RANDOMNESS, second=RANDOMNESS)
def test_ids_are_ordered_by_their_time(earlier: int, later: int, first: bytes, second: bytes) -> None:
    if earlier < later:
        assert uuid7(earlier, first) < uuid7(later, second)


def test_the_example_of_the_rfc() -> None:
    randomness = bytes.fromhex("0cc3") + bytes.fromhex("18c4dc0c0c07398f")
    assert UUID(bytes=uuid7(0x017F22E279B0, randomness)) == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


def test_a_moments_ids_are_the_same_on_a_retry_and_differ_by_label_and_command() -> None:
    first = Moment(datetime(2026, 1, 1, tzinfo=UTC), "command-1", "a")
    retry = Moment(datetime(2027, 1, 1, tzinfo=UTC), "command-1", "a")
    other = Moment(datetime(2026, 1, 1, tzinfo=UTC), "command-2", "a")
    assert first.id() == retry.id()
    assert first.id("line-1") == retry.id("line-1")
    assert len({first.id(), first.id("line-1"), first.id("line-2"), other.id(), other.id("line-1")}) == 5
    assert UUID(first.id("x")).version == 8
