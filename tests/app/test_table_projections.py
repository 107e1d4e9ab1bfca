"""Projections into tables of one's own, over every SQL store: the promises of any projection."""

import asyncio
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from diptych import App, BoundedContext, Malformed, NotCaughtUp, Tables
from diptych.log import EventLog
from diptych.read import (
    Generation,
    Hold,
    Job,
    Pause,
    ProjectionSettings,
    Rebuild,
    Repair,
    TableFold,
    ViewStore,
    table_fold,
)
from diptych.read.table_projector import FIRST_EVENTS
from diptych.stores import store_at
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres import own_tables as postgres_tables
from diptych.stores.sqlite import connection as sqlite_connection
from diptych.stores.sqlite import own_tables as sqlite_tables
from tests.app.takings import TABLES, Close, Closed, Sales, Sell, Sold, Taken, broken, context_of, takings, takings_of
from tests.read.engine import until, worker

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_broken() -> Iterator[None]:
    yield
    broken.clear()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'takings.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def fold_of(context: BoundedContext = takings) -> TableFold:
    (fold,) = context.folds
    assert isinstance(fold, TableFold)
    return fold


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[tuple[EventLog, ViewStore]]:
    store = store_at(url)
    async with store.log() as log, store.views() as views:
        yield log, views


async def sell(app: App, sales: Sequence[tuple[str, int]]) -> None:
    for till, cents in sales:
        await app.execute(Sell(till=till, cents=cents))


async def applied(app: App) -> Generation:
    """Waits until all that there is has been applied or parked."""

    async def level() -> bool:
        (standing,) = await app.standings()
        return standing.generation is not None and standing.generation.live and standing.lag.events == 0

    await until(level, 20)
    (standing,) = await app.standings()
    assert standing.generation is not None
    return standing.generation


async def check_whole(app: App) -> None:
    """The tables are what the log says, each event in its turn and once."""
    cents: dict[str, int] = {}
    lines: list[tuple[int, str, int]] = []
    async for record in app.events():
        match record.event:
            case Sold(till=till, cents=more):
                cents[till] = cents.get(till, 0) + more
                lines.append((record.position, till, cents[till]))
            case Closed(till=till):
                cents.pop(till, None)
    token = await app.token()
    assert await app.ask(Taken(), after=token) == cents
    assert await app.ask(Sales(), after=token) == lines


async def test_sql_of_handlers_is_applied_once_and_queries_are_as_fresh_as_asked(url: str) -> None:
    async with takings.open(url) as app:
        await sell(app, [("a", 5), ("b", 7), ("a", 3)])
        receipt = await app.execute(Close(till="b"))
        assert await app.ask(Taken(), after=receipt.token) == {"a": 8}
        await sell(app, [("b", 1)] * 300)
        await check_whole(app)

    async with takings.open(url) as app:
        await sell(app, [("b", 1)])
        await check_whole(app)
        answer = await app.answer(Taken(), after=await app.token())
        assert (answer.position, answer.stale, answer.parked) == (305, False, 0)


async def test_an_event_that_fails_is_parked_with_later_ones_of_its_stream_and_nothing_of_it_is_kept(url: str) -> None:
    broken.add("b")
    async with takings.open(url) as app:
        await sell(app, [("a", 1), ("b", 2), ("c", 3), ("b", 4), ("a", 5)])
        await app.execute(Close(till="b"))
        assert (await applied(app)).parked == 1
        assert await app.ask(Taken()) == {"a": 6, "c": 3}
        with pytest.raises(NotCaughtUp, match=r"event 2, holds back its stream till-b"):
            await app.ask(Taken(), after=await app.token())

    async with opened(url) as (_, views):
        letters = await views.letters(fold_of().shape, 1)
        assert [(letter.hold, letter.position) for _, letter in letters] == [
            (Hold(stream="till-b"), n) for n in (2, 4, 6)
        ]
        cause = letters[0][1].cause
        assert cause is not None
        assert (cause.error, cause.attempts) == ("RuntimeError: till b is broken", 1)
        assert "in taken" in cause.traceback
        assert letters[1][1].cause is None


async def test_letters_are_retried_in_order_while_the_projector_goes_on(url: str) -> None:
    broken.add("b")
    async with takings.open(url) as app:
        await sell(app, [("b", 2), ("c", 3), ("b", 4)])
        await applied(app)
        async with opened(url) as (log, views):
            repair = Repair(fold_of(), log, views, 1)
            (hold,) = await repair.holds()
            again = await repair.retry(hold)
            assert (again.applied, again.left is not None and again.left.position) == (0, 1)
            broken.clear()
            await sell(app, [("b", 5), ("c", 1)])
            await applied(app)
            retried = await repair.retry(hold)
            assert (retried.applied, retried.left) == (3, None)
        await sell(app, [("b", 1)])
        await applied(app)
        assert await app.ask(Taken(), after=await app.token()) == {"b": 12, "c": 4}
        running = [line for line in await app.ask(Sales()) if line[1] == "b"]
        assert running == [(1, "b", 2), (3, "b", 6), (4, "b", 11), (6, "b", 12)]


async def test_an_event_that_is_skipped_is_passed_over_in_a_rebuild_too(url: str) -> None:
    broken.add("b")
    async with takings.open(url) as app:
        await sell(app, [("b", 2), ("c", 3)])
        await applied(app)
    async with opened(url) as (log, views):
        await Repair(fold_of(), log, views, 1).skip(Hold(stream="till-b"), 1, "a test")
        rebuilt = await rebuild(log, views)
        assert (rebuilt.number, rebuilt.parked) == (2, 0)
    async with takings.open(url, projectors=False) as app:
        assert await app.ask(Taken(), after=await app.token()) == {"c": 3}


async def test_what_a_key_function_gives_is_held_back_across_streams(url: str) -> None:
    def evenness(event: Sold) -> bool:
        return event.cents % 2 == 0

    projection = takings_of()
    projection.handlers = []

    @projection.on(key=evenness)
    async def noted(tables: Tables, event: Sold) -> None:
        if event.till in broken:
            raise RuntimeError("it's broken")
        await tables.execute("INSERT INTO {takings} VALUES (:till, :cents)", till=event.till, cents=event.cents)

    context = context_of(projection)
    broken.add("a")
    async with context.open(url) as app:
        await sell(app, [("a", 1), ("b", 2), ("c", 3), ("d", 4)])
        await applied(app)
        assert await app.ask(Taken()) == {"b": 2, "d": 4}
        broken.clear()
        async with opened(url) as (log, views):
            repair = Repair(fold_of(context), log, views, 1)
            assert await repair.holds() == [Hold("false")]
            assert (await repair.retry(Hold("false"))).applied == 2
        assert await app.ask(Taken(), after=await app.token()) == {"a": 1, "b": 2, "c": 3, "d": 4}


async def rebuild(log: EventLog, views: ViewStore, **how: bool) -> Generation:
    """Fills the tables anew, beside the live ones."""
    filling = Rebuild(fold_of(), log, views)
    await filling.begin(anew=True)
    async with worker(log, views, Job(fold_of(), number=filling.number, on_idle=filling.idle)).at_work():
        return await filling.finish(**how)


async def test_a_rebuild_under_load_fills_other_tables_and_switches_while_queries_are_answered(url: str) -> None:
    async with takings.open(url) as app:
        await sell(app, [(f"{number % 7}", number) for number in range(200)])
        await applied(app)

        async def load() -> None:
            for number in range(200):
                await app.execute(Sell(till=f"{number % 7}", cents=number))
                assert len(await app.ask(Taken(), after=await app.token(), timeout=timedelta(seconds=20))) == 7

        async with opened(url) as (log, views):
            rebuilt, _ = await asyncio.gather(rebuild(log, views, keep=True), load())
            assert (rebuilt.number, rebuilt.live) == (2, True)
            await check_whole(app)
            shape = fold_of().shape
            assert [one.number for one in await views.generations(shape)] == [1, 2]
            assert await views.drop(shape, 1)
            await check_whole(app)
            assert (await rebuild(log, views)).number == 3
            await check_whole(app)


async def test_new_code_fills_tables_of_its_own_and_the_old_ones_go_with_the_old_code(url: str) -> None:
    async with takings.open(url) as app:
        await sell(app, [("a", 1)])
        await check_whole(app)
    newer = takings_of(version=2)
    newer.tables = {**TABLES, "empty": "CREATE TABLE {empty} (note TEXT)"}
    async with context_of(newer).open(url) as app:
        await sell(app, [("a", 2)])
        await check_whole(app)
    async with opened(url) as (_, views):
        shape = fold_of().shape
        assert [one.number for one in await views.generations(shape)] == [1, 2]
        assert await views.drop(shape, 2)
    async with takings.open(url) as app:  # the older ones are shown again
        await check_whole(app)
        with pytest.raises(Malformed, match=r"no such table|does not exist"):
            async with store_at(url).views() as views, views.snapshot() as snapshot:
                await snapshot.sql("SELECT * FROM empty", {})


async def test_two_workers_hand_over_and_apply_every_event_once(url: str) -> None:
    async with takings.open(url, projectors=False) as app, opened(url) as (log, views), opened(url) as (others, theirs):

        async def turns(log: EventLog, views: ViewStore, dice: random.Random) -> None:
            while True:
                async with worker(log, views, job()).at_work():
                    await asyncio.sleep(dice.random() / 2)

        tasks = [
            asyncio.create_task(turns(log, views, random.Random(1))),
            asyncio.create_task(turns(others, theirs, random.Random(2))),
        ]
        await sell(app, [(f"{number % 5}", number) for number in range(400)])
        await applied(app)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await check_whole(app)


def job() -> Job:
    return Job(fold_of())


CRASH = """
import asyncio, os, sys
from diptych.read import table_fold
from tests.app.takings import takings

left = int(sys.argv[2])

def step():
    global left
    left -= 1
    if left < 0:
        os.write(1, b"crashed")
        os._exit(9)

class Crashing(table_fold.Handlers):
    def answer(self, rows):
        step()
        super().answer(rows)
    def close(self):
        super().close()
        step()

table_fold.Handlers = Crashing

async def main():
    async with takings.open(sys.argv[1]) as app:
        await app.caught_up(await app.token())
asyncio.run(main())
"""


async def test_9_a_crash_at_any_statement_leaves_the_tables_a_fold_of_the_log(url: str) -> None:
    async with takings.open(url, projectors=False) as app:
        await sell(app, [("a", 1), ("b", 2), ("a", 3)])
    for statement in range(7):
        crashed = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", CRASH, url, f"{statement}"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert (crashed.stdout, crashed.returncode) == (b"crashed", 9), crashed.stderr
    async with takings.open(url) as app:
        await check_whole(app)


async def test_a_pause_is_taken_at_once_and_nothing_is_applied_until_it_ends(url: str) -> None:
    async with takings.open(url) as app, opened(url) as (_, views):
        await sell(app, [("a", 1)])
        await applied(app)
        assert await views.pause(fold_of().shape, Pause("now", "a test")) is None
        receipt = await app.execute(Sell(till="a", cents=2))
        with pytest.raises(NotCaughtUp, match="it is paused since now: a test"):
            await app.ask(Taken(), after=receipt.token)
        assert await app.ask(Taken()) == {"a": 1}
        await views.resume(fold_of().shape)
        await check_whole(app)


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


async def test_tables_that_cannot_be_made_are_refused_when_the_context_is_opened(url: str) -> None:
    projection = takings_of()
    projection.tables["takings"] = "CREATE TABLE {takings} (till TEXT PRIMARY)"
    with pytest.raises(Malformed, match=r"Takings cannot make its tables: .*syntax error"):
        async with context_of(projection).open(url):
            raise AssertionError


async def test_tables_without_a_key_go_with_their_generation(url: str) -> None:
    projection = takings_of()
    projection.tables["sales"] = TABLES["sales"].replace(" PRIMARY KEY", "")
    context = context_of(projection)
    shape = fold_of(context).shape
    async with context.open(url) as app:
        await sell(app, [("a", 1)] * 1200)
        await applied(app)
    async with opened(url) as (_, views):
        fresh = fold_of(context_of(takings_of())).shape
        assert await views.drop(fresh, 1)

        async def gone() -> bool:
            async with views.snapshot() as snapshot:
                return await snapshot.sql(FIND[url.partition(":")[0]], {}) == []

        await until(gone)
        assert await views.generations(shape) == []


FIND = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE name LIKE '%Takings%'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE tablename LIKE 'Takings%' AND schemaname = current_schema()",
}


async def test_memory_has_no_sql_and_says_so() -> None:
    with pytest.raises(Malformed, match="memory:// has no SQL, which Takings needs"):
        async with takings.open("memory://"):
            raise AssertionError


async def test_a_table_projection_has_one_segment(url: str) -> None:
    with pytest.raises(Malformed, match="Takings cannot have segments"):
        async with takings.open(url, projections={"Takings": ProjectionSettings(segments=2)}):
            raise AssertionError
