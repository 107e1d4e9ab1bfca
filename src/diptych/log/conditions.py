"""What must still be true for an append to be kept: pure values, judged by whoever holds the log's lock."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, cast

STREAM_SEPARATOR = "-"

MAX_VERSION = 2**63 - 1
"""The greatest version that every backend can be asked for."""


class Match(NamedTuple):
    """Events that have one of the types and all of the tags. Empty types stand for any type."""

    types: frozenset[str]
    tags: frozenset[str]

    def accepts(self, type: str, tags: Collection[str]) -> bool:
        """Whether an event of this type with these tags is meant."""
        return (not self.types or type in self.types) and self.tags.issubset(tags)


class EventQuery(NamedTuple):
    """Events that fit any of the matches. A query without matches fits no event."""

    matches: tuple[Match, ...]

    def accepts(self, type: str, tags: Collection[str]) -> bool:
        """Whether an event of this type with these tags is meant."""
        return any(match.accepts(type, tags) for match in self.matches)


class StreamAt(NamedTuple):
    """The append's stream is at this version; 0 means that it has no event yet."""

    version: int


class NoneNewer(NamedTuple):
    """No event that fits the query stands after this position."""

    query: EventQuery
    after: int


Condition = StreamAt | NoneNewer


def stream_name(category: str, id: str) -> str:
    """The stream of one aggregate: category, dash, id."""
    return f"{category}{STREAM_SEPARATOR}{id}"


def stream_range(category: str) -> tuple[str, str]:
    """Between which names, by code points, all streams of a category stand: from the first on, before the second."""
    return f"{category}{STREAM_SEPARATOR}", f"{category}{chr(ord(STREAM_SEPARATOR) + 1)}"


def several(value: object) -> Sequence[object]:
    """The values of a tag field: those of a collection, the one value otherwise, none for None."""
    if value is None:
        return ()
    return list(cast("Collection[object]", value)) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def tag(name: str, value: object) -> str:
    """A tag as it is stored and matched."""
    return f"{name}:{value}"
