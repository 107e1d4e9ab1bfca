"""Information, without targets: loading an aggregate, and appending in bulk.

Measured: milliseconds to load an aggregate of 4 and of 1000 events (read the stream, decode, evolve), the median of
many loads by one client; and events per second of appends of 1000 events each, one client, durable.
Beside: the peer's `repository.get`, without its cache, in the faster of its modes (immutable Structs); its recorder
with 1000 events per insert; bare commits of 1000 rows; UmaDB with 1000 events a call.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent

from bench import peer_umadb
from bench.engine import CATALOGUE, append_of, fill_streams, open_log
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_threads
from bench.limits import bare_commits
from bench.peer_eventsourcing import NAME, STRUCTS, seeded, sqlite_environment
from bench.shop import ItemAdded, Order, OrderPlaced, item_added, placed
from bench.workload import EVENT, EVENT_TYPE, stream_of
from diptych.log import EventLog, NewEvent

SHORT, LONG = 4, 1000
LOADS = {SHORT: 200, LONG: 20}
BULK = 1000


def prepare_load(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Loads of short and long streams."""

    def ours(folder: Path) -> dict[str, float]:
        return {str(events): asyncio.run(_loads(folder, events)) for events in LOADS}

    def peer(folder: Path) -> dict[str, float]:
        return {str(events): _peer_loads(folder, events) for events in LOADS}

    goals = [Goal(f"load {events} events", "ms", str(events), against=NAME, at_most=True) for events in LOADS]
    return [Contender(DIPTYCH, ours), Contender(NAME, peer)], goals


def prepare_bulk(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Appends of 1000 events."""
    limit = bare_commits(BULK, settings.seconds)

    def ours(folder: Path) -> dict[str, float]:
        return {RATE: asyncio.run(_bulk(folder, settings.seconds))}

    def peer(folder: Path) -> dict[str, float]:
        with closing(Application[UUID](sqlite_environment(folder / "peer.db"))) as application:
            insert = application.recorder.insert_events

            def work(_: int) -> None:
                identity = uuid4()
                insert([StoredEvent(identity, version, EVENT_TYPE, EVENT) for version in range(1, BULK + 1)])

            return {RATE: rate_of_threads(1, settings.seconds, work) * BULK}

    title = f"bulk append, {BULK} events each"
    umadb = peer_umadb.bulk(BULK, settings.seconds)
    goals = [Goal(title, "events/s", against=name) for name in (limit.name, NAME)]
    goals.append(Goal(title, "events/s", against=umadb.name, reach=1))
    return [Contender(DIPTYCH, ours), limit, Contender(NAME, peer), umadb], goals


async def _loads(folder: Path, events: int) -> float:
    path = folder / f"{events}.db"
    loads = LOADS[events]
    await fill_streams(path, loads, events)
    async with open_log(path) as log:
        times: list[float] = []
        for number in range(loads):
            start = time.perf_counter()
            order = await _load(log, stream_of(number))
            times.append(time.perf_counter() - start)
            assert order.items == (events - 1) * 6
        return median(times) * 1000


async def _load(log: EventLog, stream: str) -> Order:
    order = Order()
    for stored in (await log.load(stream)).events:
        event = CATALOGUE.decode(stored)
        if isinstance(event, OrderPlaced):
            order = placed(order, event)
        elif isinstance(event, ItemAdded):
            order = item_added(order, event)
    return order


def _peer_loads(folder: Path, events: int) -> float:
    loads = LOADS[events]
    with closing(STRUCTS.application(folder / f"{events}.peer.db")) as application:
        identities = seeded(application, STRUCTS, loads, events)
        return median([_seconds(lambda order=order: STRUCTS.load(application, order)) for order in identities]) * 1000  # type: ignore[misc]


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


async def _bulk(folder: Path, seconds: float) -> float:
    async with open_log(folder / "log.db") as log:
        done = 0
        start = time.perf_counter()
        end = start + seconds
        while time.perf_counter() < end:
            done += 1
            events = [NewEvent(EVENT_TYPE, 1, (done * BULK + n).to_bytes(16, "big"), (), EVENT) for n in range(BULK)]
            await log.append(append_of(done, stream_of(done), events, None))
        return done * BULK / (time.perf_counter() - start)


BENCHES = (
    Bench("load", "an aggregate of 4 and of 1000 events", prepare_load),
    Bench("bulk", "1000 events per append", prepare_bulk),
)
