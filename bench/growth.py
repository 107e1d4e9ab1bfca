"""Growth: what the length of the log does to what is done with it, from 10,000 events on, each time ten times more.

Each length is a log of its own, filled by `append_batch` in batches of 1000, with a view that has been projected. The
lengths are measured in turns; each figure stands beside that of the shortest log.
Measured: milliseconds, the median of many. Append: one event, a lone client, durable. Load: an order of ten events,
read and decoded. Query: `ask` for a summary by its key. Lag: from a receipt to the view, by `caught_up`. Time: the
place of a time in the log, and the first event from there, as `event-store stream FROM-TIMESTAMP` looks for it; that
is a binary search, so it informs.
`--events 10000000` goes on to the longest, which takes a quarter of an hour. Targets: docs/performance.md.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

from bench.engine import CATALOGUE, append_of, event_of, fill_in_bulk, new_event_id, open_log, order_id_of
from bench.harness import Bench, Contender, Goal, Settings
from bench.places import POSTGRES, SQLITE, Place, no_postgres
from bench.shop import SHOP, SummaryOf, place_order
from bench.workload import EVENTS_PER_ORDER, stream_of
from diptych import App
from diptych.log import EventLog, Span, StreamAt, last_before

SHORTEST = 10_000
LONGEST, QUICK_LONGEST = 1_000_000, 100_000
SAMPLES = 100
PATIENCE = timedelta(hours=1)
METRICS = ("append", "load", "query", "lag", "time")


def prepare(place: Place, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Fills a log of each length."""
    lengths, longest = [SHORTEST], settings.events or settings.sized(LONGEST, QUICK_LONGEST)
    while lengths[-1] < longest:
        lengths.append(lengths[-1] * 10)
    contenders: list[Contender] = []
    for length in lengths:
        folder = settings.folder / f"{place.name}-{length}"
        folder.mkdir()
        url = settings.lasting.enter_context(place.opened(folder))
        asyncio.run(_fill(url, length))
        contenders.append(Contender(_name(length), partial(_measure, url, length)))
    goals = [
        Goal(
            f"{metric} on {place.name}, {_name(length)}",
            "ms",
            metric,
            against=_name(SHORTEST),
            reach=None if metric == "time" else 1.2,
            at_most=True,
            of=_name(length),
        )
        for metric in METRICS
        for length in lengths[1:]
    ]
    return contenders, goals


def _name(length: int) -> str:
    return f"{length:,} events"


async def _fill(url: str, events: int) -> None:
    """A log, and its view."""
    await fill_in_bulk(url, events)
    async with SHOP.open(url) as app:
        await app.caught_up(await app.token(), timeout=PATIENCE)


def _measure(url: str, length: int, _: Path) -> dict[str, float]:
    dice = random.Random(length)
    return asyncio.run(_figures(url, [dice.randrange(length // EVENTS_PER_ORDER) for _ in range(SAMPLES)]))


async def _figures(url: str, orders: Sequence[int]) -> dict[str, float]:
    async with open_log(url) as log:
        head = await log.head()
        first = await log.recorded_at(1)
        assert first is not None
        spread = head.recorded_at - first
        times = [first + spread * (order % 100) // 100 for order in orders]
        figures = {
            "append": await _median(orders, partial(_append, log)),
            "load": await _median(orders, partial(_load, log)),
            "time": await _median(times, partial(_find, log)),
        }
    async with SHOP.open(url) as app:
        await app.caught_up(await app.token(), timeout=PATIENCE)
        figures["query"] = await _median(orders, partial(_ask, app))
        figures["lag"] = median([await _lag(app) for _ in range(SAMPLES // 2)]) * 1000
    return figures


async def _median(values: Sequence[int], work: Callable[[int], Awaitable[None]]) -> float:
    """Milliseconds, the median; the first few warm up."""
    spent: list[float] = []
    for value in values:
        start = time.perf_counter()
        await work(value)
        spent.append(time.perf_counter() - start)
    return median(spent[len(spent) // 10 :]) * 1000


async def _append(log: EventLog, _: int) -> None:
    order_id = os.urandom(8).hex()
    new, _event = CATALOGUE.encode(event_of(0, 0), new_event_id())
    number = int.from_bytes(os.urandom(5), "big")
    await log.append(append_of(number, f"extra-{order_id}", (new,), StreamAt(0)))


async def _load(log: EventLog, order: int) -> None:
    events = [CATALOGUE.decode(event) for event in (await log.load(stream_of(order))).events]
    assert len(events) == EVENTS_PER_ORDER


async def _find(log: EventLog, moment: int) -> None:
    page = await log.find(Span(after=await last_before(log, moment)), 1)
    assert len(page.events) == 1


async def _ask(app: App, order: int) -> None:
    row = await app.ask(SummaryOf(order_id=order_id_of(order)))
    assert row is not None


async def _lag(app: App) -> float:
    receipt = await app.execute(place_order(os.urandom(8).hex()))
    acknowledged = time.perf_counter()
    await app.caught_up(receipt.token)
    return time.perf_counter() - acknowledged


BENCHES = (
    Bench("growth", "the length of the log", partial(prepare, SQLITE)),
    Bench("growth-postgres", "the length of the log, PostgreSQL", partial(prepare, POSTGRES), no_postgres),
)
