"""Writes events as lines, a page at a time."""

import asyncio
from collections.abc import Callable

from diptych.cli.output import write_lines
from diptych.log import BEGINNING, Anchor, EventLog, RecordedEvent, Span, pages

PAGE_EVENTS = 500
"""Events that are held at a time."""


class Printer:
    """Writes events recorded at `since` or later, and counts them, up to `limit`. `last` is the last that it saw."""

    def __init__(self, shown: Callable[[RecordedEvent], str], limit: int | None, since: int | None = None) -> None:
        self._shown = shown
        self._left = limit
        self._since = since
        self.last = BEGINNING

    @property
    def done(self) -> bool:
        """Whether there were as many as were asked for."""
        return self._left == 0

    async def print(self, log: EventLog, span: Span) -> None:
        """Prints what the log has of the span by now, until it is done."""
        async for page in pages(log, span, PAGE_EVENTS):
            # A follower that begins in the future is told of what is kept before that, too.
            events = [event for event in page if self._since is None or event.recorded_at >= self._since][: self._left]
            write_lines([self._shown(event) for event in events])
            last = page[-1] if len(events) != self._left else events[-1]
            self.last = Anchor(last.position, last.event_id)
            if self._left is not None:
                self._left -= len(events)
                if self.done:
                    return
            await asyncio.sleep(0)  # a page is read without waiting for anything, and Ctrl-C comes in between
