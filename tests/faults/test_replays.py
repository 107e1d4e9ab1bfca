"""Fault 15: whatever applies events again does nothing but that: the log, and what it says was done, stay as they are.

A handler can do nothing else: it is a plain function, or it says which SQL is to be run, or its context is not built.
"""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from diptych import BoundedContext, ContextError, Projection
from diptych.stores.postgres.address import address_of
from tests.app.shop import OrderPlaced, OrderSummary
from tests.faults.commands import ran
from tests.faults.postgres_tools import session
from tests.faults.tools import end
from tests.faults.world import world_at

AGAIN = [
    ("projection", "retry", "Trail"),
    ("projection", "retry", "Sum"),
    ("projection", "audit", "Last"),
    ("projection", "rebuild", "Last", "--dry-run"),
    ("projection", "rebuild", "Trail", "Sum", "Last"),
]
"""What applies events that were applied before."""


TABLES = ("log", "event", "event_tag", "event_kind", "ledger")
"""What commands write."""


async def written(url: str) -> list[Any]:
    """All that was ever written by commands."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return [sorted(connection.execute(f"SELECT * FROM {name}").fetchall()) for name in TABLES]
    address = address_of(url)
    async with session(url) as other:
        return [sorted(map(str, await other.fetch(address.placed(f"SELECT * FROM diptych.{name}")))) for name in TABLES]


async def test_15_a_view_is_rebuilt_retried_and_audited_and_nothing_is_done_again(url: str) -> None:
    async with world_at(url, "async") as world:
        for key in ("k1", "k2"):
            await world.append(50)
            await world.poison(key)
        await world.append(50)
        before = await written(url)
        worker = await world.start_worker("broken")
        for fold in world.folds:
            await world.stands(fold)
        await end(worker)
        for words in AGAIN:
            came_to = await ran(url, *words, target="tests.faults.chaos:ASYNC")
            assert came_to.code == 0, came_to.err
        await world.start_worker()
        await world.settled()
        await world.check()
        assert await written(url) == before


def test_15_a_handler_that_could_do_more_than_fold_is_refused() -> None:
    projection = Projection(OrderSummary)

    async def mails(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
        raise NotImplementedError

    on: Any = projection.on
    on(mails)
    with pytest.raises(ContextError, match="mails is a coroutine or a generator; a projection handler is a plain"):
        BoundedContext("shop", projections=[projection])
