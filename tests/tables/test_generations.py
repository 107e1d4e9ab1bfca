"""Every generation has tables of its own, which come and go with it."""

import asyncio
from datetime import timedelta

import pytest

from diptych import Malformed
from diptych.log import EventLog
from diptych.read import (
    Generation,
    Hold,
    Job,
    Rebuild,
    Repair,
    ViewStore,
)
from diptych.stores import store_at
from tests.read.engine import until, worker
from tests.tables.checks import applied, check_whole, fold_of, opened, sell
from tests.tables.takings import (
    TABLES,
    Sell,
    Taken,
    broken,
    context_of,
    takings,
    takings_of,
)


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
