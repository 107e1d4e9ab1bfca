"""What handlers may not do, what becomes of slow ones, and of those that a lock holds up."""

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from diptych import BoundedContext, Tables
from diptych.read import Hold, Pause, Repair, table_fold
from diptych.read.table_projector import FIRST_EVENTS
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres import own_tables as postgres_tables
from diptych.stores.sqlite import connection as sqlite_connection
from diptych.stores.sqlite import own_tables as sqlite_tables
from tests.tables.checks import applied, check_whole, fold_of, opened, sell
from tests.tables.takings import (
    Sales,
    Sold,
    Taken,
    broken,
    context_of,
    takings,
    takings_of,
)

Handler = Callable[[Tables, Any], Coroutine[Any, Any, None]]


def handling(handler: Handler) -> BoundedContext:
    projection = takings_of()
    projection.handlers = []
    handler.__annotations__ |= {"tables": Tables, "event": Sold, "return": None}
    projection.on(handler)
    return context_of(projection)


async def wrong_sql(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO nowhere VALUES (1)")


async def unknown_table(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO {nowhere} VALUES (1)")


async def missing_value(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO {takings} VALUES (:till, :cents)", till="a")


async def value_too_many(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO {takings} VALUES (:till, 1)", till="a", cents=1)


async def constraint(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO {takings} VALUES ('a', NULL)")


async def swallowed(tables: Tables, event: Any) -> None:
    try:
        await tables.execute("INSERT INTO {takings} VALUES ('a', NULL)")
    except Exception:  # noqa: BLE001 - what this test is about
        await tables.execute("INSERT INTO {takings} VALUES ('a', 1)")


async def no_value(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO {takings} VALUES (:till, :cents)", till=object(), cents=1)


async def commits(tables: Tables, event: Any) -> None:
    await tables.execute("INSERT INTO {takings} VALUES ('a', 1)")
    await tables.execute("/* now */ COMMIT")


async def two_statements(tables: Tables, event: Any) -> None:
    await tables.execute("SELECT 1; COMMIT")


async def waits(tables: Tables, event: Any) -> None:
    await asyncio.sleep(0.01)


async def two_names(tables: Tables, event: Any) -> None:
    await tables.fetch("SELECT 1 AS one, 2 AS one")


async def many_rows(tables: Tables, event: Any) -> None:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) SELECT i FROM n"
    await tables.fetch(numbers)


WRONG: dict[Handler, str] = {
    wrong_sql: r"no such table: nowhere|\"nowhere\" does not exist",
    unknown_table: r"there is no table \{nowhere\}, only takings, sales",
    missing_value: r"it has :cents, and no value",
    value_too_many: r"it does not ask for cents",
    constraint: r"NOT NULL constraint failed|not-null constraint",
    swallowed: r"NOT NULL constraint failed|not-null constraint",
    no_value: r"not supported|expected str",
    commits: r"does not COMMIT",
    two_statements: r"one statement|multiple commands",
    waits: r"TypeError: a handler awaits its Tables, and nothing else",
    two_names: r"two columns of the rows have one name",
    many_rows: r"more than 10000 rows",
}


@pytest.mark.parametrize("handler", list(WRONG), ids=lambda handler: handler.__name__)
async def test_what_can_never_be_applied_is_parked_at_once_and_leaves_nothing(url: str, handler: Handler) -> None:
    context = handling(handler)
    async with context.open(url) as app:
        await sell(app, [("a", 1)])
        generation = await applied(app)
        assert (generation.parked, generation.failure) == (1, None)
        assert await app.ask(Taken()) == {}
    async with opened(url) as (_, views):
        ((_, letter),) = await views.letters(fold_of(context).shape, generation.number)
        assert letter.cause is not None
        assert re.search(WRONG[handler], letter.cause.error), letter.cause.error


async def for_ever(tables: Tables, event: Any) -> None:
    if event.till == "slow":
        await tables.fetch("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
    await tables.execute("INSERT INTO {takings} VALUES (:till, 1)", till=event.till)


async def test_a_statement_that_takes_too_long_is_ended_and_its_event_is_parked(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sqlite_tables, postgres_tables):
        monkeypatch.setattr(module, "HANDLER_TIMEOUT", timedelta(milliseconds=200))
    async with handling(for_ever).open(url) as app:
        await sell(app, [("a", 1), ("slow", 1), ("b", 1)])
        assert (await applied(app)).parked == 1
        assert await app.ask(Taken()) == {"a": 1, "b": 1}


async def slowly(tables: Tables, event: Any) -> None:
    time.sleep(0.02)  # noqa: ASYNC251 - as a handler that computes for long
    await tables.execute("INSERT INTO {sales} VALUES (:cents, :till, 0)", cents=event.cents, till=event.till)


async def test_slow_handlers_get_short_transactions_and_lose_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_fold, "BATCH_TIMEOUT", timedelta(milliseconds=300))
    context = handling(slowly)
    async with context.open(url, projectors=False) as app:
        await sell(app, [("a", number) for number in range(FIRST_EVENTS)])
    async with context.open(url) as app:
        await applied(app)
        assert [line[0] for line in await app.ask(Sales())] == list(range(FIRST_EVENTS))


async def test_letters_that_take_long_are_retried_in_short_transactions(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.add("a")
    async with takings.open(url) as app:
        await sell(app, [("a", 1)] * 20)
        await applied(app)
        broken.clear()
        monkeypatch.setattr(table_fold, "BATCH_TIMEOUT", timedelta(0))
        async with opened(url) as (log, views):
            retried = await Repair(fold_of(), log, views, 1).retry(Hold(stream="till-a"))
        assert (retried.applied, retried.left) == (20, None)
        await check_whole(app)


async def test_what_a_lock_holds_up_is_tried_again_and_not_parked(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_tables, "TURN_TIMEOUT", timedelta(milliseconds=50))
    monkeypatch.setattr(sqlite_connection, "LOCK_TIMEOUT", timedelta(milliseconds=50))
    async with takings.open(url) as app:
        await sell(app, [("a", 1)])
        await applied(app)
        async with locked(url, tmp_path):
            await sell(app, [("a", 2)])
            await asyncio.sleep(0.5)
            assert await app.ask(Taken()) == {"a": 1}
        assert (await applied(app)).parked == 0
        await check_whole(app)


async def test_a_handler_that_waits_keeps_nobody_from_pausing(postgres_url: str, tmp_path: Path) -> None:
    async with takings.open(postgres_url) as app, opened(postgres_url) as (_, views):
        await sell(app, [("a", 1)])
        await applied(app)
        async with locked(postgres_url, tmp_path):
            await sell(app, [("a", 2)])
            await asyncio.sleep(0.3)
            async with asyncio.timeout(1):
                assert await views.pause(fold_of().shape, Pause("now", "a test")) is None
        await asyncio.sleep(0.3)
        assert await app.ask(Taken()) == {"a": 1}
        await views.resume(fold_of().shape)
        await applied(app)
        await check_whole(app)


@asynccontextmanager
async def locked(url: str, tmp_path: Path) -> AsyncGenerator[None]:
    """Another holds what the handlers are to write."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "takings.views.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    address = PostgresStore(url).address
    connection = await asyncpg.connect(address.dsn)
    try:
        async with connection.transaction():
            await connection.execute(f'LOCK TABLE {address.views_schema}."Takings_1$takings" IN EXCLUSIVE MODE')
            yield
    finally:
        await connection.close()
