"""What the fault tests share: folds of their own, looks into files, processes that do harm, appends by hand."""

import asyncio
import itertools
import json
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from diptych import App, Recorded, Token
from diptych.log import Append, Condition, NewEvent
from diptych.stores.sqlite import SqliteStore
from diptych.stores.sqlite.log import SqliteLog
from tests.app.shop import AllOrders, OrderPlaced, OrderShipped

ROOT = Path(__file__).parents[2]

T = TypeVar("T")

_numbers = itertools.count(1)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def sqlite_log(app: App) -> SqliteLog:
    return cast("SqliteLog", app.log)


@asynccontextmanager
async def opened_log(path: Path) -> AsyncIterator[SqliteLog]:
    """A log on a store of its own: it hears of others' events only through the file."""
    async with SqliteStore(path).log() as log:
        yield log


def new_append(  # noqa: PLR0913 - what an append has
    stream: str,
    *,
    events: int = 1,
    condition: Condition | None = None,
    command_id: str | None = None,
    tags: tuple[str, ...] = (),
    type: str = "Happened",
) -> Append:
    """An append by hand, below commands and aggregates."""
    number = next(_numbers)
    return Append(
        command_id or f"by-hand-{number}",
        b"fingerprint",
        stream,
        [NewEvent(type, 1, (number << 32 | each).to_bytes(16, "big"), tags, b"{}") for each in range(events)],
        condition,
        b'{"command_id":"x","correlation_id":"x","causation_id":"x"}',
    )


async def events_of(app: App) -> list[Recorded[Any]]:
    return [event async for event in app.events()]


def fold(events: list[Recorded[Any]]) -> list[tuple[str, str]]:
    """Which orders the view has to show, by a fold that knows nothing of Diptych's."""
    rows: dict[str, str] = {}
    for recorded in events:
        match recorded.event:
            case OrderPlaced(order_id=id):
                assert id not in rows
                rows[id] = "placed"
            case OrderShipped(order_id=id):
                assert rows[id] == "placed"
                rows[id] = "shipped"
    return sorted(rows.items())


async def check_whole(app: App) -> list[Recorded[Any]]:
    """The log is gapless and each of its streams too, the view is its fold. Gives the events."""
    events = await events_of(app)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    versions: dict[str, int] = {}
    for event in events:
        assert event.version == versions.get(event.stream, 0) + 1
        versions[event.stream] = event.version
    times = [event.recorded_at for event in events]
    assert times == sorted(times)
    rows = await app.ask(AllOrders(), after=token_at(app, len(events)), timeout=timedelta(seconds=20))
    assert [(row.order_id, row.status) for row in rows] == fold(events)
    return events


def token_at(app: App, position: int) -> Token:
    return Token.at(app.log.log_id, position)


def check_file(path: Path) -> None:
    """SQLite itself finds nothing wrong, and the ledger and the tags tell of no event that is not there."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    (head,) = connection.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (head,)
    assert connection.execute("SELECT coalesce(sum(events), 0) FROM ledger").fetchone() == (head,)
    assert connection.execute("SELECT count(*) FROM ledger WHERE position > ?", (head,)).fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM event_tag WHERE position > ?", (head,)).fetchone() == (0,)
    connection.close()


async def start(module: str, *arguments: object, **options: Any) -> Process:
    """A process that runs one of the modules here."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.faults.{module}",
        *map(str, arguments),
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
        **options,
    )


async def said(process: Process) -> dict[str, Any]:
    """The next line that a process prints, as JSON."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    assert line, "the process has ended"
    found: dict[str, Any] = json.loads(line)
    return found


async def say(process: Process, line: str = "") -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    await process.stdin.drain()


async def end(process: Process) -> None:
    """Kills a process, if it still runs, and waits for its end."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            await pipe.read()  # to its end, or the pipe outlives the event loop


async def held_up(awaited: Awaitable[T]) -> tuple[T | BaseException, float]:
    """What it gives or raises, and the longest time for which the event loop stood still meanwhile, in seconds."""
    task = asyncio.ensure_future(awaited)
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return task.exception() or task.result(), longest


async def rebuild(url: str) -> None:
    """Has the view of a shop filled anew, by the command line."""
    words = ("projection", "rebuild", "OrderSummary", "--target", "tests.app.shop:shop", "--store", url)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "diptych", *words, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint


async def until(condition: Any, seconds: float = 10) -> Any:
    """Waits until it holds, looking again and again; gives what it was then."""
    deadline = time.monotonic() + seconds
    while not (found := await condition()):
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.01)
    return found
