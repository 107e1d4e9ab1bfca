"""A rebuild beside a view in use: the log is filled into a new generation, which replaces the live one.

Measured: seconds for a million events that `diptych projection rebuild` says it took, from the empty generation to the
switch, in a process of its own; and the most memory that it held. The log and the view are those of catch-up, of
200,000 events (50,000 in a quick run; `--events 1000000` for the whole million). Meanwhile another process has the
context open, projects the live generation, and appends PER_SECOND commands a second.
To inform: the same with `--workers 2`, where the log is read, and the live server works, on the same cores.
There is no peer: none fills a view beside the one in use. Targets: docs/performance.md.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count

import msgspec

from bench.engine import fill_in_bulk
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings
from bench.places import POSTGRES, SQLITE, Place, no_postgres
from bench.processes import TARGET, finished
from bench.shop import SHOP, place_order
from diptych import App

EVENTS, QUICK_EVENTS = 200_000, 50_000
PER_SECOND = 50
PATIENCE = timedelta(minutes=10)
MEMORY = "memory"
WORKERS = f"{DIPTYCH}, 2 workers"

_orders = count(1)


class Rebuilt(msgspec.Struct):
    """What the command prints."""

    position: int
    seconds: float


def prepare(place: Place, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """A log and a view for each contender: a view stays divided among its workers."""
    events = settings.events or settings.sized(EVENTS, QUICK_EVENTS)

    def contender(name: str, *options: str) -> Contender:
        home = settings.folder / f"rebuild-{place.name}-{len(options)}"
        home.mkdir()
        url = settings.lasting.enter_context(place.opened(home))
        asyncio.run(fill_in_bulk(url, events))
        return Contender(name, lambda _: asyncio.run(_measure(url, *options)))

    fast = 4 if place is SQLITE else 6
    goals = [
        Goal(f"rebuild on {place.name}", "s per 1M events", reach=fast, at_most=True),
        Goal(f"rebuild on {place.name}, at most", "MiB", MEMORY, reach=120, at_most=True),
        Goal(f"rebuild on {place.name}, 2 workers", "s per 1M events", against=DIPTYCH, at_most=True, of=WORKERS),
    ]
    return [contender(DIPTYCH), contender(WORKERS, "--workers", "2")], goals


async def _measure(url: str, *options: str) -> dict[str, float]:
    async with SHOP.open(url) as app:
        await app.caught_up(await app.token(), timeout=PATIENCE)
        appending = asyncio.create_task(_append(app))
        words = ("projection", "rebuild", "OrderSummary", "--target", TARGET, "--store", url, "--json", *options)
        printed, mebibytes = await asyncio.to_thread(finished, *words)
        appending.cancel()
        with suppress(asyncio.CancelledError):
            await appending
    rebuilt = msgspec.json.decode(printed, type=Rebuilt)
    return {RATE: rebuilt.seconds * 1_000_000 / rebuilt.position, MEMORY: mebibytes}


async def _append(app: App) -> None:
    while True:
        await app.execute(place_order(f"new-{next(_orders)}"))
        await asyncio.sleep(1 / PER_SECOND)


BENCHES = (
    Bench("rebuild", "a view filled anew beside the one in use", partial(prepare, SQLITE)),
    Bench("rebuild-postgres", "the same on PostgreSQL", partial(prepare, POSTGRES), no_postgres),
)
