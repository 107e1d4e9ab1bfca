"""Appends of one event each to the log on PostgreSQL: 64 clients at once, 256, and a lone one.

Measured: as in append.py, on a server of its own (see places.py).
Limits: asyncpg alone, on one connection and a table with no index but its key: one bare insert per commit, and 100 rows
per commit by unnest, which is the fastest durable way in but COPY. Peers: eventsourcing's recorder on such a server,
with its best number of threads; UmaDB, with as many clients. Targets: docs/performance.md.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

import asyncpg

from bench import peer_umadb
from bench.engine import append_of, open_log
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_tasks
from bench.peer_eventsourcing import best_append
from bench.places import POSTGRES, no_postgres
from bench.workload import EVENT, EVENT_TYPE, stream_of
from diptych.log import NewEvent, Outcome, StreamAt

CLIENTS = 64

TABLE = """
CREATE TABLE bare (
    position bigint PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, type text NOT NULL, data bytea NOT NULL
)
"""
INSERT = "INSERT INTO bare VALUES ($1, $2, $3, $4, $5)"
UNNEST = "INSERT INTO bare SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])"


def prepare(clients: int, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Diptych, the limit and the peers for so many clients, each on a server of its own."""
    lone = clients == 1
    rows = 1 if lone else 100

    def ours(folder: Path) -> dict[str, float]:
        with POSTGRES.opened(folder) as url:
            return {RATE: asyncio.run(_rate(url, clients, settings.seconds))}

    def bare(folder: Path) -> dict[str, float]:
        with POSTGRES.opened(folder) as url:
            return {RATE: asyncio.run(_bare(url, rows, settings.seconds))}

    limit = Contender(f"bare commits of {rows}", bare)
    title = "append on PostgreSQL, " + ("lone client" if lone else f"{clients} clients")
    contenders = [Contender(DIPTYCH, ours), limit]
    goals = [Goal(title, "events/s", against=limit.name, reach=0.75 if lone else 0.5)]
    if clients <= CLIENTS:
        peer = best_append(settings, (1,) if lone else (1, 8, 16), POSTGRES)
        umadb = peer_umadb.appends(clients, settings.seconds)
        contenders += [peer, umadb]
        goals.append(Goal(title, "events/s", against=peer.name, reach=None if lone else 12))
        goals.append(Goal(title, "events/s", against=umadb.name, reach=None if lone else 3))
    return contenders, goals


async def _rate(url: str, clients: int, seconds: float) -> float:
    async with open_log(url) as log:
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
    Bench("append-postgres", "64 clients, one event per append, PostgreSQL", partial(prepare, CLIENTS), no_postgres),
    Bench("append-postgres-many", "256 clients, one event per append, PostgreSQL", partial(prepare, 256), no_postgres),
    Bench("append-postgres-lone", "one client, one event per append, PostgreSQL", partial(prepare, 1), no_postgres),
)
