"""Large events are compressed, and whatever a log holds is told from garbage."""

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Event, UnreadableEvent, Zstd
from diptych.log import EventCatalogue, StoredEvent, compression
from diptych.log.compression import is_compressed


class Noted(Event):
    text: str
    amount: Decimal = Decimal()


ID = bytes(16)
PLAIN, COMPRESSING = EventCatalogue([Noted]), EventCatalogue([Noted], Zstd(threshold=100))
LARGE = Noted(text="a word and another, " * 100)


def stored(data: bytes) -> StoredEvent:
    return StoredEvent(7, "note-1", "Noted", 1, data)


def kept(catalogue: EventCatalogue, event: Event) -> bytes:
    return catalogue.encode(event, ID)[0].data


def test_an_event_is_compressed_from_the_threshold_on_and_comes_back() -> None:
    data = kept(COMPRESSING, LARGE)
    assert is_compressed(data)
    assert len(data) < 200
    assert COMPRESSING.decode(stored(data)) == LARGE
    assert kept(COMPRESSING, Noted(text="short")) == b'{"text":"short","amount":"0"}'


def test_what_was_stored_without_a_codec_is_read_with_it() -> None:
    assert COMPRESSING.decode(stored(kept(PLAIN, LARGE))) == LARGE


def test_a_context_without_a_codec_says_that_an_event_is_compressed() -> None:
    with pytest.raises(UnreadableEvent, match=r"it is compressed, and this context has no codec for that"):
        PLAIN.decode(stored(kept(COMPRESSING, LARGE)))


def test_what_does_not_get_smaller_is_kept_as_it_is() -> None:
    random = bytes(range(256)) * 1
    assert Zstd(threshold=1).encode(random) == random


@given(st.binary(max_size=10_000))
def test_everything_comes_back(data: bytes) -> None:
    codec = Zstd(threshold=10)
    if not is_compressed(data):
        assert codec.decode(codec.encode(data)) == data


def test_a_damaged_frame_is_said_to_be_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Zstd(threshold=1).encode(b"x" * 1000)
    for damaged, reason in ((frame[:-3], "end too early"), (frame[:4] + b"\xff" * 20, "damaged")):
        with pytest.raises(UnreadableEvent, match=reason):
            COMPRESSING.decode(stored(damaged))
    monkeypatch.setattr(compression, "LARGEST", 999)
    with pytest.raises(UnreadableEvent, match="more than 999 bytes"):
        COMPRESSING.decode(stored(frame))


def test_without_the_extra_it_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    with pytest.raises(ImportError, match=r'pip install "diptych\[zstd\]"'):
        Zstd()
