"""Snapshots of aggregates: where the fold of a stream begins, and what is kept of it.

A snapshot is made of what the log has, never of a state in memory: whatever that was decided on, the next process must
be able to believe it.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from diptych.log import EventCatalogue, EventLog, SnapshotStore, StoredEvent
from diptych.write.domain import fold
from diptych.write.rules import AggregateRules
from diptych.write.snapshot_codec import SnapshotCodec
from diptych.write.state_shape import StateShape

log = logging.getLogger(__name__)


class Start(NamedTuple):
    """A state, the version of the snapshot that it is (0 for none), the events after it, and the stream's version."""

    state: Any
    snapshot: int
    events: Sequence[StoredEvent]
    version: int


class Snapshots:
    """Reads and makes the snapshots of a context's aggregates."""

    def __init__(self, catalogue: EventCatalogue, events: EventLog, store: SnapshotStore) -> None:
        self._catalogue = catalogue
        self._log = events
        self._store = store
        self._codec = SnapshotCodec(catalogue.codec)

    async def start(self, rules: AggregateRules, stream: str) -> Start:
        """Where to begin with a stream: at its snapshot, if there is one that holds, or else at its first event."""
        shape = rules.state_shape
        if shape is None:
            return await self.beginning(rules, stream)
        snapshot, events, version = await self._store.restore(stream, shape.fingerprint)
        if snapshot is None:
            return Start(rules.initial, 0, events, version)
        try:
            return Start(self._codec.state(shape, snapshot), snapshot.version, events, version)
        except Exception as error:  # noqa: BLE001 - whatever it was, the events are there
            log.warning("The snapshot of %s is damaged and was passed over: %s", stream, error)
            return await self.beginning(rules, stream)

    async def beginning(self, rules: AggregateRules, stream: str) -> Start:
        """The beginning of a stream, with all its events."""
        return Start(rules.initial, 0, *await self._log.load(stream))

    async def fold(self, rules: AggregateRules, start: Start) -> Any:
        """The state after all of the events, folded on a thread. Raises UnreadableEvent, and what the evolves raise."""
        return await asyncio.to_thread(fold, self._catalogue, rules, start.state, start.events)

    async def keep(self, shape: StateShape, stream: str, start: Start, state: object) -> None:
        """Keeps the state as the stream's snapshot. Raises Unavailable, and Malformed for one that cannot be kept."""
        upto = await self._log.anchor(start.events[-1].position) if start.events else None
        if upto is not None:  # else there is nothing new, or the log has just lost its end
            made = await asyncio.to_thread(self._codec.snapshot, shape, stream, start.version, upto, state)
            await self._store.keep(made)
