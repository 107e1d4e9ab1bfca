"""Whole commands: validate, load, decide, append, receipt; 64 clients at once, and a lone one.

Measured: commands per second of `App.execute`, durable, without projections, each giving one event of 230 bytes. New:
every command places a new order. Existing: every command adds an item to one of ORDERS orders, taken in turn, which
have EVENTS events each before; the app is opened anew, so that nothing of them is in memory at first. Clients are
asyncio tasks of one process.
Peer: the same by its repository and `save`, with the best of its modes (declared aggregates, the same with its cache,
immutable Structs) and of its numbers of threads; and, to inform, its declared aggregates without the cache, which is
what its tutorial has. Targets: docs/performance.md.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from bench.engine import fill_streams, order_id_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_tasks
from bench.peer_eventsourcing import DECLARED, MODES, THREADS, Mode, best_execute_existing, best_execute_new
from bench.places import POSTGRES, SQLITE, Place, made, no_postgres
from bench.shop import WRITING, add_to_order, place_order
from diptych import Command, Receipt

CLIENTS = 64
ORDERS = 1024
EVENTS = 4


def prepare_new(place: Place, clients: int, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Orders placed."""
    threads = (1,) if clients == 1 else THREADS

    def ours(folder: Path) -> dict[str, float]:
        numbers = count()
        with place.opened(folder) as url:
            asyncio.run(made(url))
            return _measured(url, clients, settings.seconds, lambda: place_order(order_id_of(next(numbers))))

    def peer(modes: Sequence[Mode]) -> Contender:
        return best_execute_new(settings, threads, modes, place)

    return _prepared("new", place, clients, Contender(DIPTYCH, ours), peer)


def prepare_existing(place: Place, clients: int, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Items added to orders."""
    threads = (1,) if clients == 1 else THREADS

    def ours(folder: Path) -> dict[str, float]:
        numbers = count()
        with place.opened(folder) as url:
            asyncio.run(fill_streams(url, ORDERS, EVENTS))
            return _measured(url, clients, settings.seconds, lambda: add_to_order(order_id_of(next(numbers) % ORDERS)))

    def peer(modes: Sequence[Mode]) -> Contender:
        return best_execute_existing(settings, threads, orders=ORDERS, events=EVENTS, modes=modes, place=place)

    return _prepared("existing", place, clients, Contender(DIPTYCH, ours), peer)


def _prepared(
    what: str, place: Place, clients: int, ours: Contender, peer: Callable[[Sequence[Mode]], Contender]
) -> tuple[Sequence[Contender], Sequence[Goal]]:
    on = "" if place is SQLITE else f" on {place.name}"
    title = f"execute{on}, {what}, {'lone client' if clients == 1 else f'{clients} clients'}"
    best_of_all, tutorial = peer(MODES), peer([DECLARED])
    goals = [Goal(title, "commands/s", against=best_of_all.name, reach=2 if clients == 1 else 15)]
    if tutorial.name == best_of_all.name:
        return [ours, best_of_all], goals
    return [ours, best_of_all, tutorial], [*goals, Goal(title, "commands/s", against=tutorial.name)]


def _measured(url: str, clients: int, seconds: float, command: Callable[[], Command]) -> dict[str, float]:
    return {RATE: asyncio.run(_rate(url, clients, seconds, command))}


async def _rate(url: str, clients: int, seconds: float, command: Callable[[], Command]) -> float:
    async with WRITING.open(url) as app:

        async def work(_: int) -> Receipt:
            return await app.execute(command())

        return await rate_of_tasks(clients, seconds, work)


def _benches(place: Place, suffix: str, missing: Callable[[], str | None]) -> Sequence[Bench]:
    return [
        Bench(name + suffix, f"{about}, {place.name}", partial(prepare, place, clients), missing)
        for name, about, prepare, clients in (
            ("execute-new", "64 clients, whole commands on new aggregates", prepare_new, CLIENTS),
            ("execute-existing", "64 clients, whole commands on existing aggregates", prepare_existing, CLIENTS),
            ("execute-lone", "one client, whole commands on existing aggregates", prepare_existing, 1),
        )
    ]


BENCHES = (*_benches(SQLITE, "", lambda: None), *_benches(POSTGRES, "-postgres", no_postgres))
