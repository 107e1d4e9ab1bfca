"""Appending in bulk, as an import does: batches of 1000 events of 100 streams, one client, durable.

Measured: events per second of `EventLog.append_batch`, the events being there as bytes; and, to inform, of a whole
import of NDJSON, in which each line is read, validated and encoded.
Limits: bare commits of 1000 rows on SQLite; on PostgreSQL asyncpg's binary COPY of the same rows, all their columns, in
commits of 1000, into a table with no index but its key. Peers: UmaDB with 1000 events a call; eventsourcing's recorder
with 1000 events per insert. Targets: docs/performance.md.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import asyncpg
from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent

from bench import peer_umadb
from bench.engine import IMPORTED, open_log, order_id_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_threads
from bench.limits import bare_commits
from bench.peer_eventsourcing import NAME, environment_of
from bench.places import POSTGRES, SQLITE, Place, made, no_postgres
from bench.shop import WRITING
from bench.workload import EVENT, EVENT_TYPE, NOTE, PRICE, QUANTITY, SKU, stream_of
from diptych.log import Batch, BatchEvent, NewEvent

T = TypeVar("T")

EVENTS = 1000
STREAMS = 100

TABLE = """
CREATE TABLE bare (
    position bigint PRIMARY KEY, version bigint NOT NULL, recorded_at bigint NOT NULL, schema integer NOT NULL,
    stream text NOT NULL, type text NOT NULL, event_id bytea NOT NULL, tags text NOT NULL, data bytea NOT NULL,
    metadata bytea NOT NULL
)
"""


def prepare(place: Place, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Diptych, the limit of the place, and the peers."""
    seconds = settings.seconds

    def ours(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            figures = {RATE: asyncio.run(_batches(url, seconds))}
        (folder / "lines").mkdir()
        with place.opened(folder / "lines") as url:
            return figures | {"lines": asyncio.run(_lines(url, seconds))}

    def peer(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url, closing(Application[UUID](environment_of(url))) as application:
            insert = application.recorder.insert_events

            def work(_: int) -> None:
                identity = uuid4()
                insert([StoredEvent(identity, version, EVENT_TYPE, EVENT) for version in range(1, EVENTS + 1)])

            rate = rate_of_threads(1, seconds, work) * EVENTS
            return {RATE: rate, "lines": rate}

    def copy(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            rate = asyncio.run(_copies(url, seconds))
            return {RATE: rate, "lines": rate}

    limit = bare_commits(EVENTS, seconds) if place is SQLITE else Contender(f"COPY of {EVENTS}", copy)
    umadb = peer_umadb.bulk(EVENTS, seconds)
    on = "" if place is SQLITE else f" on {place.name}"
    title = f"append in bulk{on}, {EVENTS} a batch"
    goals = [
        Goal(title, "events/s", against=limit.name, reach=None if place is SQLITE else 0.4),
        Goal(title, "events/s", against=umadb.name, reach=1 if place is SQLITE else None),
        Goal(title, "events/s", against=NAME),
        Goal(f"import of lines{on}", "events/s", "lines"),
    ]
    return [Contender(DIPTYCH, ours), limit, umadb, Contender(NAME, peer)], goals


def batch(number: int) -> Batch:
    """The batch with this number, from 0: its events are those of 100 new streams, ten each, by turns."""
    first = number * EVENTS
    events = [
        BatchEvent(
            stream_of(number * STREAMS + one % STREAMS),
            NewEvent(EVENT_TYPE, 1, (first + one).to_bytes(16, "big"), (), EVENT),
            IMPORTED,
        )
        for one in range(EVENTS)
    ]
    return Batch(f"import-{number:032}", bytes(16), events, {})


async def _batches(url: str, seconds: float) -> float:
    async with open_log(url) as log:
        return await _rate(seconds, batch, log.append_batch)


async def _copies(url: str, seconds: float) -> float:
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    try:
        return await _rate(seconds, rows, lambda made: connection.copy_records_to_table("bare", records=made))
    finally:
        await connection.close()


def rows(number: int) -> list[tuple[object, ...]]:
    """The same batch as rows of a table."""
    return [
        (
            *(number * EVENTS + nth, nth // STREAMS + 1, nth, event.schema, stream, event.type, event.event_id, "[]"),
            *(event.data, metadata),
        )
        for nth, (stream, event, metadata) in enumerate(batch(number).events)
    ]


async def _rate(seconds: float, make: Callable[[int], T], work: Callable[[T], Awaitable[object]]) -> float:
    """Events per second, after a short warm-up; what it takes to make a batch does not count."""
    for number in range(3):
        await work(make(number))
    spent = 0.0
    for number in count(3):
        made = make(number)
        start = time.perf_counter()
        await work(made)
        spent += time.perf_counter() - start
        if spent > seconds:
            return (number - 2) * EVENTS / spent
    raise AssertionError


async def _lines(url: str, seconds: float) -> float:
    async with WRITING.open(await made(url), projectors=False) as app:
        start = time.perf_counter()
        done = await app.import_events(_written(start + seconds)).run()
        return done.imported / (time.perf_counter() - start)


async def _written(end: float) -> AsyncIterator[bytes]:
    for number in count():
        if time.perf_counter() > end:
            return
        yield line(number)


def line(number: int) -> bytes:
    """The line with this number, from 0: ten events for each order, those of a hundred orders by turns."""
    order_id = order_id_of(number // EVENTS * STREAMS + number % STREAMS)
    return LINE % (order_id.encode(), order_id.encode())


LINE = (
    json.dumps(
        {
            "stream": "order-%s",
            "type": EVENT_TYPE,
            "data": {"order_id": "%s", "sku": SKU, "quantity": QUANTITY, "price": str(PRICE), "note": NOTE},
        }
    ).encode()
    + b"\n"
)

BENCHES = (
    Bench("bulk", "1000 events a batch", partial(prepare, SQLITE)),
    Bench("bulk-postgres", "1000 events a batch, PostgreSQL", partial(prepare, POSTGRES), no_postgres),
)
