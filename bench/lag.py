"""Live lag: how long after the acknowledgement of a command the view has it, at 50 events per second.

Measured: milliseconds, p50 and p99, from the receipt to the return of `caught_up` with its token: the view has it. And,
to inform, to the answer of `ask` with `after=` the token, which holds the query too. Commands are measured in the one
way and the other by turns. Projections run as the app runs them, in this process; and, to inform, in a process of their
own, as `diptych serve --role projector` runs them. The pauses vary, so that no rhythm of polling falls in with them.
Peer: its ProjectionRunner in the same process, from the return of `save` to the commit of the view's row (no query).
On PostgreSQL it is woken by NOTIFY, as Diptych is; on SQLite by the insert, which it does not ship: see peer_views.
What was projected before `save` returned counts as 0. Target: docs/performance.md.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import uuid4

from bench.engine import order_id_of
from bench.harness import DIPTYCH, Bench, Contender, Goal, Settings
from bench.peer_eventsourcing import NAME, placed, save
from bench.peer_projection import PATIENCE_SECONDS, runner
from bench.places import POSTGRES, SQLITE, Place, made, no_postgres
from bench.processes import serving
from bench.shop import SHOP, SummaryOf, place_order

PER_SECOND = 50
EVENTS, QUICK_EVENTS = 300, 60
WARM_UP = 10
APART = f"{DIPTYCH}, a process of its own"


def prepare(place: Place, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """All, one after the other."""
    events = settings.sized(EVENTS, QUICK_EVENTS)

    def ours(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            asyncio.run(made(url))
            return asyncio.run(_ours(url, events, projectors=True))

    def apart(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            asyncio.run(made(url))
            with serving("--store", url, "--role", "projector"):
                return asyncio.run(_ours(url, events, projectors=False))

    def peers(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            return _peers(place, url, events)

    contenders = [Contender(DIPTYCH, ours), Contender(APART, apart), Contender(NAME, peers)]
    on = "" if place is SQLITE else f" on {place.name}"
    goals = [
        Goal(f"live lag{on}, p50", "ms", "p50", against=NAME, reach=0.6, at_most=True),
        Goal(f"live lag{on}, p99", "ms", "p99", against=NAME, reach=0.6, at_most=True),
        Goal(f"live lag{on} with the query, p50", "ms", "asked p50", against=NAME, at_most=True),
        Goal(f"live lag{on} with the query, p99", "ms", "asked p99", against=NAME, at_most=True),
        Goal(f"live lag{on} across processes, p50", "ms", "p50", against=NAME, at_most=True, of=APART),
        Goal(f"live lag{on} across processes, p99", "ms", "p99", against=NAME, at_most=True, of=APART),
    ]
    return contenders, goals


async def _ours(url: str, events: int, *, projectors: bool) -> dict[str, float]:
    shown: list[float] = []
    asked: list[float] = []
    async with SHOP.open(url, projectors=projectors) as app:
        for number, pause in enumerate(_pauses(events + WARM_UP)):
            order_id = order_id_of(number)
            receipt = await app.execute(place_order(order_id))
            acknowledged = time.perf_counter()
            if number % 2:
                await app.caught_up(receipt.token)
                shown.append(time.perf_counter() - acknowledged)
            else:
                row = await app.ask(SummaryOf(order_id=order_id), after=receipt.token)
                asked.append(time.perf_counter() - acknowledged)
                assert row is not None
            await asyncio.sleep(pause)
    half = WARM_UP // 2
    return _percentiles(shown[half:]) | _percentiles(asked[half:], "asked ")


def _peers(place: Place, url: str, events: int) -> dict[str, float]:
    acknowledged: list[float] = []
    shown: dict[int, float] = {}
    with runner(place, url) as running:
        running.view.reached = lambda number: shown.update({number: time.perf_counter()})
        for pause in _pauses(events + WARM_UP):
            save(running.app, placed(uuid4()))
            acknowledged.append(time.perf_counter())
            time.sleep(pause)
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while len(shown) < len(acknowledged) and time.perf_counter() < deadline:
            time.sleep(0.01)
    lags = [max(0.0, shown[number] - at) for number, at in enumerate(acknowledged, 1)][WARM_UP:]
    return _percentiles(lags) | _percentiles(lags, "asked ")


def _pauses(count: int) -> list[float]:
    """Seconds between events: the same for all, half to one and a half times the mean."""
    dice = random.Random(50)
    return [dice.uniform(0.5, 1.5) / PER_SECOND for _ in range(count)]


def _percentiles(seconds: list[float], prefix: str = "") -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        f"{prefix}p50": ordered[last * 50 // 100] * 1000,
        f"{prefix}p99": ordered[round(last * 0.99)] * 1000,
    }


ABOUT = "from the acknowledgement to the view, at 50 events/s"
BENCHES = (
    Bench("lag", ABOUT, partial(prepare, SQLITE)),
    Bench("lag-postgres", f"{ABOUT}, on PostgreSQL", partial(prepare, POSTGRES), no_postgres),
)
