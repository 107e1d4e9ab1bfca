"""Dead letters: events that a projection could not apply to a row, parked with every later event of the same row."""

from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec


class Hold(NamedTuple):
    """What is held back: the row of a key, or, where an event could not be read for its keys, all of a stream.

    `key` is the text of a row's key, as its shape gives it, and empty for a stream; `stream` is empty for a row.
    """

    key: str = ""
    stream: str = ""

    def __str__(self) -> str:
        return f"stream {self.stream}" if self.stream else f"key {self.key}"


class Cause(msgspec.Struct, frozen=True):
    """Why an event could not be applied: the error, its traceback, how often it was tried, and when (UTC)."""

    error: str
    traceback: str
    attempts: int
    first: str
    last: str

    @property
    def kind(self) -> str:
        """The error's type, without its words, which may quote an event."""
        return self.error.partition(":")[0]


class Letter(NamedTuple):
    """An event that is parked for a hold. `cause` is None where it only waits behind another of the same hold."""

    hold: Hold
    position: int
    type: str
    parked_at: str
    cause: Cause | None = None


class Held(NamedTuple):
    """All that is parked for a hold: how many events, and the letter of the first, which is to be mended."""

    hold: Hold
    letters: int
    first: Letter


class Skip(NamedTuple):
    """An event that an operator has had passed over for a hold, why and when (UTC).

    It is known to all generations of a view: where the event fails for the hold again, it is passed over again.
    """

    hold: Hold
    position: int
    because: str
    at: str


class Withheld(NamedTuple):
    """What a projector must know of a segment before it goes on: what is held back, and what to pass over."""

    holds: AbstractSet[Hold]
    skips: AbstractSet[tuple[Hold, int]]


NOTHING_WITHHELD = Withheld(frozenset(), frozenset())
