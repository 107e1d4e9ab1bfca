"""Follows a log over every outage of its store: no event is lost, and none comes twice."""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from diptych import NotAStore, Unavailable
from diptych.cli.event_store.printer import Printer
from diptych.cli.output import flush
from diptych.cli.words import UNREACHABLE, Stop, say
from diptych.log import BEGINNING, Anchor, EventLog, Span
from diptych.stores import Store

LOOK_ROUND = timedelta(seconds=1)
"""How long a follower waits for an event before it sees whether anybody still reads what it writes."""

AGAIN_FIRST = timedelta(milliseconds=100)
AGAIN_MOST = timedelta(seconds=2)
"""Waits before a store that could not be reached is tried again: doubled from the first to the most."""


class Mark(NamedTuple):
    """How far a follower has come: up to this event, of this log."""

    log_id: str
    upto: Anchor

    async def check(self, log: EventLog) -> None:
        """Raises Stop where this is another log, or one that has lost the event: there is nothing to go on from."""
        if log.log_id != self.log_id:
            raise Stop("the store holds another log now, so there is nothing to follow any more", UNREACHABLE)
        if await log.anchor(self.upto.position) != self.upto:
            words = f"the log does not have event {self.upto.position} any more: it was restored, or has lost its end"
            raise Stop(words, UNREACHABLE)


class Outage:
    """Says once that a store cannot be reached, and lets more and more time pass before it is tried again."""

    def __init__(self) -> None:
        self._pause: timedelta | None = None

    def is_over(self) -> None:
        """The store was read."""
        self._pause = None

    async def wait(self, error: Unavailable) -> None:
        """The store could not be read, and will be tried again."""
        if self._pause is None:
            say(f"{error} Following goes on as soon as it can.", UNREACHABLE)
        self._pause = AGAIN_FIRST if self._pause is None else min(self._pause * 2, AGAIN_MOST)
        await asyncio.sleep(self._pause.total_seconds())


async def marked(log: EventLog, position: int) -> Mark:
    """The mark of a follower that begins after this position."""
    return Mark(log.log_id, await log.anchor(position) or BEGINNING)


async def follow(store: Store, span: Span, mark: Mark, printer: Printer) -> None:
    """Prints what the span has and will have past the mark, until the printer is done.

    Raises Stop and NotAStore where the store does not hold the same log any more.
    """
    outage = Outage()
    while not printer.done:
        try:
            store.must_exist()
            async with store.log() as log:
                while not printer.done:
                    mark = await _print_new(log, span, mark, printer)
                    outage.is_over()
                    if not printer.done:
                        await log.wait_past(mark.upto.position, LOOK_ROUND)
        except NotAStore:
            raise
        except Unavailable as error:
            mark = mark._replace(upto=max(mark.upto, printer.last))
            flush()
            await outage.wait(error)


async def _print_new(log: EventLog, span: Span, mark: Mark, printer: Printer) -> Mark:
    """Prints what is there past the mark, and gives the next one."""
    await mark.check(log)
    head = await log.head()
    await printer.print(log, span._replace(after=mark.upto.position))
    flush()
    return mark._replace(upto=max(mark.upto, printer.last, Anchor(head.position, head.event_id)))
