"""Fault 4: others append between any two statements of a reader, and it never moves past an event it has not seen."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from diptych.log import EventLog, EventQuery, Match, Page, RecordedEvent, RecordPage, Span
from tests.faults.postgres_tools import opened
from tests.faults.tools import new_append, opened_log

ROUNDS = 12
LIMIT = 50  # more than comes about in a round


async def some(log: EventLog) -> None:
    """Appends what is wanted and what is not."""
    for type in ("Wanted", "Other", "Wanted"):
        await log.append(new_append("a-1", tags=("t:1",) if type == "Wanted" else (), type=type))


@asynccontextmanager
async def on_sqlite(path: Path) -> AsyncGenerator[EventLog]:
    loop = asyncio.new_event_loop()
    running = asyncio.get_running_loop().run_in_executor(None, loop.run_forever)
    async with opened_log(path) as log:
        other = opened_log(path)
        writer = asyncio.run_coroutine_threadsafe(other.__aenter__(), loop).result()

        def between(statement: str) -> None:
            if statement.startswith("SELECT"):
                asyncio.run_coroutine_threadsafe(some(writer), loop).result()

        log._reader._quick.set_trace_callback(between)
        try:
            yield log
        finally:
            log._reader._quick.set_trace_callback(None)
            asyncio.run_coroutine_threadsafe(other.__aexit__(None, None, None), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            await running
            loop.close()


@asynccontextmanager
async def on_postgres(url: str) -> AsyncGenerator[EventLog]:
    fetch = asyncpg.Connection.fetch
    async with opened(url) as log, opened(url) as other:
        writing = False

        async def fetch_after_others(connection: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal writing
            if not writing:
                writing = True
                await some(other)
                writing = False
            return await fetch(connection, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncpg.Connection, "fetch", fetch_after_others)
            yield log


@pytest.fixture
def interrupted(url: str) -> AbstractAsyncContextManager[EventLog]:
    """A log, to be opened, whose readers find others' events between any two of their statements."""
    return on_sqlite(Path(url.removeprefix("sqlite:///"))) if url.startswith("sqlite") else on_postgres(url)


def is_wanted(event: RecordedEvent) -> bool:
    return event.type == "Wanted"


WANTED = frozenset({"Wanted"})


@pytest.mark.parametrize(
    ("read", "fits"),
    [
        (lambda log, after: log.read(after, LIMIT), lambda _: True),
        (lambda log, after: log.read(after, LIMIT, WANTED), is_wanted),
        (lambda log, after: log.read_records(after, LIMIT), lambda _: True),
        (lambda log, after: log.read_records(after, LIMIT, WANTED), is_wanted),
        (lambda log, after: log.find(Span(after=after), LIMIT), lambda _: True),
        (lambda log, after: log.find(Span(after=after, types=WANTED), LIMIT), is_wanted),
        (lambda log, after: log.find(Span(after=after, tags=frozenset({"t:1"})), LIMIT), is_wanted),
        (lambda log, after: log.find(Span(after=after, stream="a-1", types=WANTED), LIMIT), is_wanted),
    ],
    ids=["pages", "typed pages", "records", "typed records", "span", "types", "tags", "stream"],
)
async def test_4_a_follower_that_others_write_around_never_moves_past_what_it_has_not_seen(
    interrupted: AbstractAsyncContextManager[EventLog],
    read: Callable[[EventLog, int], Awaitable[Page | RecordPage]],
    fits: Callable[[RecordedEvent], bool],
) -> None:
    async with interrupted as log:
        seen: list[int] = []
        upto = 0
        for _ in range(ROUNDS):
            page = await read(log, upto)
            seen += [event.position for event in page.events]
            upto = max(upto, page.upto.position)
        assert upto > ROUNDS
        assert seen == await positions(log, upto, fits)


async def test_4_a_boundary_has_every_event_up_to_its_head(
    interrupted: AbstractAsyncContextManager[EventLog],
) -> None:
    query = EventQuery((Match(WANTED, frozenset()), Match(frozenset({"Never"}), frozenset())))
    async with interrupted as log:
        for _ in range(ROUNDS):
            events, head = await log.select(query)
            assert [event.position for event in events] == await positions(log, head, is_wanted)


async def positions(log: EventLog, upto: int, fits: Callable[[RecordedEvent], bool]) -> list[int]:
    """Where the events that fit are, up to a position."""
    return [event.position for event in (await log.read_records(0, upto)).events if fits(event)]
