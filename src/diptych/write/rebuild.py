"""Makes the snapshots of an aggregate's streams anew, each from its first event, along one way through the log."""

import asyncio
from collections.abc import Awaitable, Iterable

from diptych.log import EventCatalogue, EventLog, SnapshotStore, Span, pages
from diptych.write.rules import AggregateRules
from diptych.write.snapshots import Snapshots
from diptych.write.state_shape import StateShape

PAGE_EVENTS = 1000
"""Events of a page of the log."""

AT_A_TIME = 32
"""Streams whose events are in memory at the same time."""


class SnapshotRebuild:
    """Makes a snapshot of every stream that is due for one, counted from its first event; commands may go on meanwhile.

    `position` tells how far in the log it has come, of `head`; `streams` how many it met, `kept` how many it made.
    """

    def __init__(
        self, rules: AggregateRules, shape: StateShape, catalogue: EventCatalogue, log: EventLog, store: SnapshotStore
    ) -> None:
        self._rules = rules
        self._shape = shape
        self._log = log
        self._snapshots = Snapshots(catalogue, log, store)
        self.position = self.head = self.streams = self.kept = 0

    async def run(self) -> None:
        """Goes through the log. Raises Unavailable, UnreadableEvent, Malformed, and what the aggregate raises."""
        self.head = (await self._log.head()).position
        async for page in pages(self._log, Span(category=self._rules.name, before=self.head + 1), PAGE_EVENTS):
            begun = [record for record in page if record.version == 1]  # a stream is met where it begins
            for first in range(0, len(begun), AT_A_TIME):
                some = begun[first : first + AT_A_TIME]
                await _all([self._make(record.stream) for record in some])
                self.position = some[-1].position
            self.position = page[-1].position
        self.position = self.head

    async def _make(self, stream: str) -> None:
        self.streams += 1
        start = await self._snapshots.beginning(self._rules, stream)
        state = await self._snapshots.fold(self._rules, start)
        if self._rules.aggregate.snapshots(start.version, state):
            await self._snapshots.keep(self._shape, stream, start, state)
            self.kept += 1


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Waits for all of them, and raises the first error then."""
    for answer in await asyncio.gather(*works, return_exceptions=True):
        if answer is not None:
            raise answer
