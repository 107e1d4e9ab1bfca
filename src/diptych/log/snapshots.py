"""Snapshots: folds of streams that are kept beside the log. Each is a cache, never the truth. No I/O.

A state is bytes here. What they mean, and whether they are whole, is for the write side to say.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from diptych.log.events import Anchor, StoredEvent
from diptych.log.protocol import EventLog


class Snapshot(NamedTuple):
    """The state of a stream after its event of this version, which stands in the log at `upto`.

    `shape` tells which kind of state it is, and `data` is the state as the write side stores it.
    """

    stream: str
    version: int
    upto: Anchor
    shape: str
    data: bytes


class Restored(NamedTuple):
    """What a stream is folded from: a snapshot, if there is one, and the events after it; and the stream's version."""

    snapshot: Snapshot | None
    events: Sequence[StoredEvent]
    version: int


class SnapshotStore(Protocol):
    """Where the snapshots of one log are kept, one of each stream. It may lose any of them at any time."""

    async def restore(self, stream: str, shape: str) -> Restored:
        """The stream's snapshot of this shape and the events after it; or all its events, where there is none.

        A snapshot of events that the log does not have, or not any more, is as none. So is one that cannot be read,
        with a warning. Raises Unavailable where the log cannot be read.
        """
        ...

    async def keep(self, snapshot: Snapshot) -> None:
        """Keeps a snapshot in the place of whatever there is of its stream. Raises Unavailable."""
        ...

    async def delete(self, category: str) -> int:
        """Deletes the snapshots of all streams of a category, and gives their number. Raises Unavailable."""
        ...


async def restored(log: EventLog, stream: str, found: Snapshot | None) -> Restored:
    """What a store gives that has found this in a place apart from the log."""
    if found is not None and await log.anchor(found.upto.position) == found.upto:
        return Restored(found, *await log.load(stream, found.version))
    return Restored(None, *await log.load(stream))
