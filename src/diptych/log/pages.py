"""Reads a span of a log page by page, in flat memory however long it is."""

from collections.abc import AsyncGenerator, Sequence

from diptych.log.events import RecordedEvent
from diptych.log.protocol import PAGE_EVENTS, EventLog
from diptych.log.span import Span


async def pages(log: EventLog, span: Span, limit: int = PAGE_EVENTS) -> AsyncGenerator[Sequence[RecordedEvent]]:
    """The events of the span, as far as the log went when it began, at most `limit` at a time. Raises Unavailable."""
    head = (await log.head()).position
    left: Span | None = span
    while left is not None:
        page = await log.find(left, limit)
        if page.events:
            yield page.events
        left = left.rest(page.upto, head)
