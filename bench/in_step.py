"""What it costs to keep a view in step with the log: appends as in append.py, beside the same without a view.

Measured: events per second of `EventLog.append` on a log that is opened with the fold of one view of orders, which is
in step; each append is an order placed, for a row of its own. Beside it, in turns and each in a fresh place: the same
log with no view in step, and with three. No worker runs meanwhile. Informs, as nothing else does the same work.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from bench.engine import CATALOGUE, append_of, order_id_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_tasks
from bench.places import POSTGRES, SQLITE, Place, made, no_postgres
from bench.shop import OrderPlaced
from bench.workload import CUSTOMER, NOTE, stream_of
from diptych import Projection, View
from diptych.log import Outcome, StreamAt
from diptych.read import Fold, FoldRules, InStep, ViewShape
from diptych.stores import store_at

CLIENTS = 64


class Placed(View, key="order_id"):
    """A row for each order."""

    order_id: str
    customer_id: str
    total: Decimal


class PlacedTwo(Placed, key="order_id"):
    """The same again."""


class PlacedThree(Placed, key="order_id"):
    """And again."""


VIEWS: Sequence[type[Placed]] = (Placed, PlacedTwo, PlacedThree)


def prepare(place: Place, clients: int, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """The log with a view in step, with none, and with three, for so many clients."""

    def contender(name: str, views: int) -> Contender:
        def measure(folder: Path) -> dict[str, float]:
            with place.opened(folder) as url:
                return {RATE: asyncio.run(_rate(url, VIEWS[:views], clients, settings.seconds))}

        return Contender(name, measure)

    title = f"append with a view in step, {place.name}, {'lone client' if clients == 1 else f'{clients} clients'}"
    none, three = contender("no view in step", 0), contender("three views in step", 3)
    goals = [Goal(title, "events/s", against=none.name), Goal(title, "events/s", against=three.name)]
    return [contender(DIPTYCH, 1), none, three], goals


async def _rate(url: str, views: Sequence[type[Placed]], clients: int, seconds: float) -> float:
    folds = [_fold_of(view) for view in views]
    store = store_at(await made(url))
    async with store.log(in_step=InStep(folds)) as log, store.views(in_step=True) as place:
        for fold in folds:
            generation = await place.prepare(fold.shape, log.log_id)
            assert await place.switch(fold.shape, generation.number)
            await place.join(fold.shape)
        numbers = count(1)

        async def work(_: int) -> Outcome:
            number = next(numbers)
            event = OrderPlaced(order_id=order_id_of(number), customer_id=CUSTOMER, total=Decimal(), note=NOTE)
            stored = CATALOGUE.encode(event, number.to_bytes(16, "big"))[0]
            return await log.append(append_of(number, stream_of(number), (stored,), StreamAt(0)))

        rate = await rate_of_tasks(clients, seconds, work)
        head = next(numbers) - 1
        for fold in folds:
            async with place.snapshot() as snapshot:
                assert (await snapshot.generation(fold.shape)).position == (await log.head()).position == head
        return rate


def _fold_of(view: type[Placed]) -> Fold[Any]:
    projection = Projection(view, mode="sync")

    @projection.on
    def placed(row: Placed | None, event: OrderPlaced) -> Placed:
        return view(order_id=event.order_id, customer_id=event.customer_id, total=event.total)

    placed.__annotations__.update(row=view | None, **{"return": view})
    return Fold(FoldRules(projection, ViewShape(view, sync=True), []), CATALOGUE)


BENCHES = tuple(
    Bench(name, f"{clients} clients, a view in step, {place.name}", partial(prepare, place, clients), missing)
    for name, place, clients, missing in (
        ("in-step", SQLITE, CLIENTS, lambda: None),
        ("in-step-lone", SQLITE, 1, lambda: None),
        ("in-step-postgres", POSTGRES, CLIENTS, no_postgres),
        ("in-step-postgres-lone", POSTGRES, 1, no_postgres),
    )
)
