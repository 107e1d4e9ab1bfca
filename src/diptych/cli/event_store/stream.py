"""`diptych event-store stream`: the log in order, one event a line, in flat memory however long it is."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.event_store.records import Records
from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.output import columns, flush, write_lines
from diptych.cli.places import existing_store
from diptych.cli.target import context_at
from diptych.cli.times import typed_time
from diptych.cli.words import DONE
from diptych.log import EventLog, RecordedEvent, last_before
from diptych.stores import Store

PAGE_EVENTS = 500
"""Events that are held at a time."""

LOOK_ROUND = timedelta(seconds=1)
"""How long a follower waits for an event before it sees whether anybody still reads what it writes."""


def stream(  # noqa: PLR0913 - the options that this command has
    from_timestamp: str | None = None,
    /,
    *,
    follow: Annotated[bool, Switch] = False,
    type: Annotated[list[str] | None, Parameter(negative=(), metavar="TYPE")] = None,
    limit: Annotated[int | None, Parameter(validator=Number(gte=1), metavar="N")] = None,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    r"""Print the log's events in order, one a line.

    What was shipped since a time, and what will be from now on:

        diptych event-store stream 2026-01-31T12:00:00Z --type OrderShipped \
            --follow --store sqlite:///shop.db

    No target is needed, unless the context keeps its events in a codec of its own.

    Parameters
    ----------
    from_timestamp:
        Begin with the first event recorded at this time or later: ISO 8601 with a zone, or a date (UTC).
    follow:
        Go on with new events as they are kept, until Ctrl-C.
    type:
        Only events of this stored name; may be given several times.
    limit:
        End after so many events.
    """
    begin = None if from_timestamp is None else typed_time(from_timestamp)
    context = context_at(target) if target else None
    records = Records(context)
    shown = records.as_json if json else partial(records.as_text, width=columns())
    asyncio.run(print_log(existing_store(store), shown, begin, type, limit, follow=follow))
    return DONE


async def print_log(  # noqa: PLR0913 - the options of the command
    store: Store,
    shown: Callable[[RecordedEvent], str],
    begin: int | None,
    types: Collection[str] | None,
    limit: int | None,
    *,
    follow: bool,
) -> None:
    """Prints events until the log's present end, the limit, or, for a follower, the end of time."""
    left = limit
    async with store.log() as log:
        after = 0 if begin is None else await last_before(log, begin)
        async for events in pages(log, after, types, follow=follow):
            write_lines([shown(event) for event in events[:left]])
            if left is not None:
                left -= len(events)
                if left <= 0:
                    return
            if follow:
                flush()


async def pages(
    log: EventLog, after: int, types: Collection[str] | None, *, follow: bool
) -> AsyncGenerator[list[RecordedEvent]]:
    """The events after a position, page by page; a follower gets empty pages while there is no news."""
    end = (await log.head()).position
    while follow or after < end:
        page = await log.read_records(after, PAGE_EVENTS, types)
        yield [event for event in page.events if follow or event.position <= end]
        if follow and page.upto.position <= after:
            await log.wait_past(after, LOOK_ROUND)
        after = max(after, page.upto.position)
        await asyncio.sleep(0)  # a page is read without waiting for anything, and Ctrl-C comes in between
