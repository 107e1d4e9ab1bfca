"""Catching up: one projection from an empty view to the end of a long log.

Measured: events per second from opening the app to `caught_up` with the log's end, typed rows written with the
checkpoint in the same transaction, page after page. The log: orders of 10 events each (placed, 8 items, shipped), 100
of them interleaved at any time, 230 bytes of JSON an event, 200,000 events (50,000 in a quick run). The view: a row per
order with a str key, a Decimal total, an int count of items and a status. The file system's cache is warm.
Ceiling: fetch the same pages of the same file with bare sqlite3, decode them to Structs, fold them with the
projection's own handlers into a dict of rows, and write nothing.
Peer: its projection into its own SQLite view with tracking in the same transaction, on a shorter log of the same kind
(its rate does not depend on the length), the best of its ProjectionRunner and a plain loop; and, to inform, the loop
with its view's commits not synced, as Diptych's are not.
Targets: docs/performance.md.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from bench.engine import file_url, fill, order_id_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, best
from bench.peer_projection import UnsyncedSummaries, catch_up_in_a_loop, catch_up_with_runner
from bench.shop import (
    SHOP,
    ItemAdded,
    OrderPlaced,
    OrderShipped,
    OrderSummary,
    SummaryOf,
    summary_item,
    summary_placed,
    summary_shipped,
)
from bench.workload import EVENTS_PER_ORDER, PRICE, QUANTITY, steps
from diptych import Token
from diptych.log import PAGE_EVENTS

ORDERS, QUICK_ORDERS = 20_000, 5_000
PEER_ORDERS, QUICK_PEER_ORDERS = 300, 100
PATIENCE = timedelta(seconds=120)

PAGE = "SELECT position, stream, type, schema, data FROM event WHERE position > ? ORDER BY position LIMIT ?"

ITEMS = EVENTS_PER_ORDER - 2


def prepare(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Fills the log once; every measurement begins with no view."""
    orders = settings.sized(ORDERS, QUICK_ORDERS)
    home = settings.folder / "catch-up"
    home.mkdir()
    events = asyncio.run(fill(file_url(home / "shop.db"), steps(orders)))
    peer_orders = settings.sized(PEER_ORDERS, QUICK_PEER_ORDERS)
    peer = best([catch_up_with_runner(peer_orders), catch_up_in_a_loop(peer_orders)], settings)

    unsynced = catch_up_in_a_loop(peer_orders, UnsyncedSummaries)

    def ours(_: Path) -> dict[str, float]:
        for stale in home.glob("shop.views.db*"):
            stale.unlink()
        return {RATE: events / asyncio.run(_catch_up(home, orders))}

    ceiling = Contender("fetch, decode, fold", lambda _: {RATE: events / _fold_only(home / "shop.db", orders)})
    goals = [
        Goal("catch-up of one projection", "events/s", against=ceiling.name, reach=0.45),
        Goal("catch-up of one projection", "events/s", against=peer.name, reach=100),
        Goal("catch-up of one projection", "events/s", against=unsynced.name),
    ]
    return [Contender(DIPTYCH, ours), ceiling, peer, unsynced], goals


async def _catch_up(home: Path, orders: int) -> float:
    start = time.perf_counter()
    async with SHOP.open(file_url(home / "shop.db")) as app:
        token = Token.at(app.log.log_id, (await app.log.head()).position)
        await app.caught_up(token, timeout=PATIENCE)
        seconds = time.perf_counter() - start
        last = await app.ask(SummaryOf(order_id=order_id_of(orders - 1)), after=token)
        _check(last)
        return seconds


def _fold_only(path: Path, orders: int) -> float:
    kinds: dict[str, tuple[Callable[[bytes], Any], Callable[[Any, Any], OrderSummary]]] = {
        "OrderPlaced": (msgspec.json.Decoder(OrderPlaced).decode, summary_placed),
        "ItemAdded": (msgspec.json.Decoder(ItemAdded).decode, summary_item),
        "OrderShipped": (msgspec.json.Decoder(OrderShipped).decode, summary_shipped),
    }
    rows: dict[str, OrderSummary] = {}
    start = time.perf_counter()
    with closing(sqlite3.connect(path)) as database:
        position = 0
        while page := database.execute(PAGE, (position, PAGE_EVENTS)).fetchall():
            for _, _, kind, _, data in page:
                decode, fold = kinds[kind]
                event = decode(data)
                key = event.order_id
                rows[key] = fold(rows.get(key), event)
            position = page[-1][0]
    seconds = time.perf_counter() - start
    assert len(rows) == orders
    _check(rows[order_id_of(orders - 1)])
    return seconds


def _check(row: OrderSummary | None) -> None:
    """That the work was done."""
    assert row is not None
    assert (row.total, row.items, row.status) == (PRICE * QUANTITY * ITEMS + Decimal(), QUANTITY * ITEMS, "shipped")


BENCHES = (Bench("catch-up", "one projection from nothing to the end of the log", prepare),)
