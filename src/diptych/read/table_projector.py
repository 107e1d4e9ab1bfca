"""The projector of a TableProjection: as any other, but for how many events a transaction has, and which one failed.

The rows of a view are folded before a transaction; handlers run inside of one, and others may wait for it. So it has as
many events as fit into a moment.
"""

import time
from datetime import timedelta

from diptych.log import Anchor
from diptych.read.parking import HandlerFailed, Overlong
from diptych.read.projector import Events, Projector, events_before

MOMENT = timedelta(milliseconds=100)
"""How long a transaction should take."""

FIRST_EVENTS = 100
"""Events of the first transaction, before it is known how long they take."""


class TableProjector(Projector):
    """See `Projector`."""

    _most = FIRST_EVENTS

    async def _apply_some(self, events: Events, upto: Anchor, within: timedelta | None = None) -> int:
        some = events[: self._most]
        begun = time.monotonic()
        try:
            applied = await self._apply(
                some, upto if len(some) == len(events) else await self._end(some, upto), careful=False
            )
        except Overlong as error:
            self._most = max(len(events_before(some, error.position)) // 2, 1)
            return await self._apply_some(events, upto)
        except HandlerFailed as error:
            if before := events_before(some, error.position):
                return await self._apply_some(before, await self._end(before, upto))
            await self._refuse(some[:1], await self._end(some[:1], upto), error)
            return 1
        self._pace(time.monotonic() - begun)
        return applied

    def _pace(self, seconds: float) -> None:
        """As many events as before, or twice or half as many, the next time."""
        moment = MOMENT.total_seconds()
        if seconds > moment:
            self._most = max(self._most // 2, 1)
        elif seconds < moment / 4:
            self._most = min(self._most * 2, self._settings.batch)

    async def _end(self, events: Events, upto: Anchor) -> Anchor:
        return await self._anchor(events[-1].position, upto)
