"""`diptych event-store stream`: the log in order, one event a line, in flat memory however long it is."""

import asyncio
from functools import partial
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.event_store.follow import follow as following
from diptych.cli.event_store.follow import marked
from diptych.cli.event_store.printer import Printer
from diptych.cli.event_store.records import Records
from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.output import columns
from diptych.cli.places import existing_store
from diptych.cli.target import context_at, target_or_configured
from diptych.cli.times import typed_time
from diptych.cli.words import DONE, WRONG_USE, Stop
from diptych.log import Span, last_before
from diptych.stores import Store


def stream(  # noqa: PLR0913 - the options that this command has
    from_timestamp: str | None = None,
    /,
    *,
    until: Annotated[str | None, Parameter(metavar="TIME")] = None,
    follow: Annotated[bool, Switch] = False,
    backwards: Annotated[bool, Switch] = False,
    type: Annotated[list[str] | None, Parameter(negative=(), metavar="TYPE")] = None,
    stream: Annotated[str | None, Parameter(metavar="STREAM")] = None,
    category: Annotated[str | None, Parameter(metavar="CATEGORY")] = None,
    tag: Annotated[list[str] | None, Parameter(negative=(), metavar="NAME:VALUE")] = None,
    limit: Annotated[int | None, Parameter(validator=Number(gte=1), metavar="N")] = None,
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
    span.check()
    target = target_or_configured(target)
    records = Records(context_at(target) if target else None)
    shown = records.as_json if json else partial(records.as_text, width=columns())
    printer = Printer(shown, limit, begin)
    asyncio.run(print_log(existing_store(store), span, (begin, end), printer, follow=follow))
    return DONE


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
        if not follow:
            await printer.print(log, span)
            return
        mark = await marked(log, span.after)
    await following(store, span, mark, printer)
