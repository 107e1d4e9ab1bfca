"""Whether the log still holds what kept states were folded from, or has lost its end: restored, or failed over."""

import asyncio
import math
from datetime import timedelta

from diptych.log import BEGINNING, Anchor, EventLog

LOOK = timedelta(seconds=1)
"""How often the log is looked at, at most."""


class NewestEvent:
    """The newest event that a state rests on. A log that has it has all before it. It belongs to one event loop."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known = BEGINNING
        self._looked = -math.inf
        self._turn = asyncio.Lock()

    def appended(self, event: Anchor) -> None:
        """A state rests on this event."""
        if event.position > self._known.position:
            self._known = event

    async def was_read(self, position: int | None) -> None:
        """A state rests on the event at a position that was just read, or that is not known."""
        if position is None or position > self._known.position:
            position, event_id, _ = await self._log.head()
            self.appended(Anchor(position, event_id))

    async def is_there(self) -> bool:
        """Whether the log has it, as far as was looked in the last second. Where it has not, all begins anew."""
        if self._is_fresh():
            return True
        async with self._turn:
            if self._is_fresh():
                return True
            known = self._known
            there = await self._log.anchor(known.position) == known
            if not there:
                self._known = BEGINNING
            self._looked = asyncio.get_running_loop().time()
            return there

    def _is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._looked < LOOK.total_seconds()
