"""`diptych event-store stream`: the log in order, one event a line, in flat memory however long it is."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.event_store.records import Records
from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.output import columns, flush, write_lines
from diptych.cli.places import existing_store
from diptych.cli.target import context_at, target_or_configured
from diptych.cli.times import typed_time
from diptych.cli.words import DONE, WRONG_USE, Stop
from diptych.log import EventLog, RecordedEvent, Span, last_before, pages
from diptych.stores import Store

PAGE_EVENTS = 500
"""Events that are held at a time."""

LOOK_ROUND = timedelta(seconds=1)
"""How long a follower waits for an event before it sees whether anybody still reads what it writes."""

Several = Parameter(negative=())


def stream(  # noqa: PLR0913 - the options that this command has
    from_timestamp: str | None = None,
    /,
    *,
    until: str | None = None,
    follow: Annotated[bool, Switch] = False,
    backwards: Annotated[bool, Switch] = False,
    type: Annotated[list[str] | None, Several] = None,
    stream: str | None = None,
    category: str | None = None,
    tag: Annotated[list[str] | None, Several] = None,
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    r"""Print the log's events in order, one a line.

    What was shipped since a time, and what will be from now on:

        diptych event-store stream 2026-01-31T12:00:00Z --type OrderShipped \
            --follow --store sqlite:///shop.db

    The ten latest events of one aggregate:

        diptych event-store stream --stream order-1 --backwards --limit 10

    No target is needed, unless the context keeps its events in a codec of its own.

    Parameters
    ----------
    from_timestamp:
        Begin with the first event recorded at this time or later: ISO 8601 with a zone, or a date (UTC).
    until:
        Only events recorded before this time.
    follow:
        Go on with new events as they are kept, until Ctrl-C.
    backwards:
        Begin with the latest event.
    type:
        Only events of this stored name; may be given several times.
    stream:
        Only events of this stream, such as order-1.
    category:
        Only events of this aggregate's streams, such as order.
    tag:
        Only events with this tag, such as customer_id:c; given several times, with all of them.
    limit:
        End after so many events.
    """
    begin = None if from_timestamp is None else typed_time(from_timestamp)
    end = None if until is None else typed_time(until)
    if follow and (backwards or end is not None):
        raise Stop("a follower goes on for ever: --follow has no --backwards and no --until", WRONG_USE)
    span = Span(
        types=frozenset(type or ()),
        tags=frozenset(tag or ()),
        stream=stream,
        category=category,
        backwards=backwards,
    )
    target = target_or_configured(target)
    records = Records(context_at(target) if target else None)
    shown = records.as_json if json else partial(records.as_text, width=columns())
    printer = Printer(shown, limit)
    asyncio.run(print_log(existing_store(store), span, (begin, end), printer, follow=follow))
    return DONE


class Printer:
    """Writes events as lines, and counts them. `last` is the position of the last one."""

    def __init__(self, shown: Callable[[RecordedEvent], str], limit: int | None) -> None:
        self._shown = shown
        self._left = limit
        self.last = 0

    @property
    def done(self) -> bool:
        """Whether there were as many as were asked for."""
        return self._left == 0

    async def print(self, log: EventLog, span: Span) -> None:
        """Prints what the log has of the span by now, until it is done."""
        async for page in pages(log, span, PAGE_EVENTS):
            events = page[: self._left]
            write_lines([self._shown(event) for event in events])
            self.last = events[-1].position
            if self._left is not None:
                self._left -= len(events)
                if self.done:
                    return
            await asyncio.sleep(0)  # a page is read without waiting for anything, and Ctrl-C comes in between


async def print_log(
    store: Store, span: Span, times: tuple[int | None, int | None], printer: Printer, *, follow: bool
) -> None:
    """Prints events until the log's present end, the limit, or, for a follower, the end of time."""
    begin, end = times
    async with store.log() as log:
        if begin is not None:
            span = span._replace(after=await last_before(log, begin))
        if end is not None:
            span = span._replace(before=await last_before(log, end) + 1)
        while True:
            head = (await log.head()).position
            await printer.print(log, span)
            if printer.done or not follow:
                return
            flush()
            span = span._replace(after=max(span.after, head, printer.last))
            await log.wait_past(span.after, LOOK_ROUND)
