"""Which segment of a projection a row belongs to: a fixed function of its key, the same everywhere and for ever."""

from zlib import crc32


def segment_of(key: str, segments: int) -> int:
    """The number of the segment, from 0, that the row of a key (its text) belongs to, of so many."""
    return crc32(key.encode()) % segments
