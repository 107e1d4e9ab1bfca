"""Reads of an SQLite file end their transactions, wherever their budget is spent and whenever a caller goes away."""

import asyncio
import random
from pathlib import Path

import pytest

from diptych.log import EventQuery, Match
from diptych.read import ViewShape
from diptych.stores.sqlite import SqliteStore, reader, snapshot
from tests.faults.tools import new_append, opened_log
from tests.stores.test_query_plans import Sale
from tests.views import begin

EVERYTHING = EventQuery((Match(frozenset(), frozenset()),))


@pytest.fixture
def every_step_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_TICK", 1)


@pytest.mark.usefixtures("every_step_counts")
async def test_a_read_whose_budget_is_spent_anywhere_leaves_no_snapshot_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_log(tmp_path / "log.db") as log:
        for steps in range(120):
            monkeypatch.setattr(reader, "INLINE_TICKS", steps)
            await log.append(new_append("a-1"))
            assert (await log.select(EVERYTHING)).head == steps + 1
            assert (await log.load("a-1")).version == steps + 1
            assert (await log.read(steps)).upto.position == steps + 1
            assert not log._reader._quick.in_transaction


@pytest.mark.usefixtures("every_step_counts")
async def test_a_snapshot_of_views_whose_budget_is_spent_anywhere_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = ViewShape(Sale)
    async with SqliteStore(tmp_path / "log.db").views() as views:
        await begin(views, shape, [])
        for steps in range(120):
            monkeypatch.setattr(snapshot, "INLINE_TICKS", steps)
            async with views.snapshot() as taken:
                assert (await taken.generation(shape)).position == 1
                assert await taken.get_many(shape, ["1"]) == {}
            await asyncio.sleep(0)


async def test_readers_that_go_away_at_any_moment_leave_no_snapshot_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "INLINE_TICKS", 0)  # everything large goes to the thread
    dice = random.Random(1)
    async with opened_log(tmp_path / "log.db") as log:
        await log.append(new_append("a-1", events=2000))
        for number in range(100):
            await log.append(new_append("b-1"))
            asking = asyncio.create_task(log.select(EVERYTHING))
            await asyncio.sleep(dice.uniform(0, 0.004))
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert (await log.select(EVERYTHING)).head == 2001 + number
