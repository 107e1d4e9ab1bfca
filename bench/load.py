"""Information, without targets: loading an aggregate.

Measured: milliseconds to load an aggregate of 4 and of 1000 events (read the stream, decode, evolve), the median of
many loads by one client.
Beside: the peer's `repository.get`, without its cache, in the faster of its modes (immutable Structs).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from bench.engine import CATALOGUE, file_url, fill_streams, open_log
from bench.harness import DIPTYCH, Bench, Contender, Goal, Settings
from bench.peer_eventsourcing import NAME, STRUCTS, seeded
from bench.shop import ItemAdded, Order, OrderPlaced, item_added, placed
from bench.workload import stream_of
from diptych.log import EventLog

SHORT, LONG = 4, 1000
LOADS = {SHORT: 200, LONG: 20}


def prepare_load(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Loads of short and long streams."""

    def ours(folder: Path) -> dict[str, float]:
        return {str(events): asyncio.run(_loads(folder, events)) for events in LOADS}

    def peer(folder: Path) -> dict[str, float]:
        return {str(events): _peer_loads(folder, events) for events in LOADS}

    goals = [Goal(f"load {events} events", "ms", str(events), against=NAME, at_most=True) for events in LOADS]
    return [Contender(DIPTYCH, ours), Contender(NAME, peer)], goals


async def _loads(folder: Path, events: int) -> float:
    url = file_url(folder / f"{events}.db")
    loads = LOADS[events]
    await fill_streams(url, loads, events)
    async with open_log(url) as log:
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
    with closing(STRUCTS.application(file_url(folder / f"{events}.peer.db"))) as application:
        identities = seeded(application, STRUCTS, loads, events)
        return median([_seconds(lambda order=order: STRUCTS.load(application, order)) for order in identities]) * 1000  # type: ignore[misc]


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


BENCHES = (Bench("load", "an aggregate of 4 and of 1000 events", prepare_load),)
