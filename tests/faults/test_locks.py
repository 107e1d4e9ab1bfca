"""Faults 1, 2, 3, 5 and 8: others who hold, keep, lose and share the log's lock."""

import asyncio
import signal
import sqlite3
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from diptych import Conflict, Unavailable
from diptych.log import RecordedEvent, StreamAt
from diptych.stores.sqlite import connection
from diptych.stores.sqlite.log import SqliteLog
from tests.app.shop import OrderCount, order, shop
from tests.faults.tools import check_file, check_whole, end, held_up, new_append, opened_log, said, say, start, url_of


@asynccontextmanager
async def holder(path: Path, events: int = 2) -> AsyncIterator[Process]:
    """A process in the middle of an append: its events are written and not committed."""
    process = await start("holder", path, events)
    try:
        assert await said(process) == {"holds": list(range(1, events + 1))}
        yield process
    finally:
        await end(process)


async def follow(log: SqliteLog, count: int, pause: float) -> list[RecordedEvent]:
    """A follower that looks again and again, and takes what it sees for all that there is up to there."""
    seen: list[RecordedEvent] = []
    while len(seen) < count:
        page = await log.read_records(seen[-1].position if seen else 0, 3)
        seen += page.events
        assert [event.position for event in seen] == list(range(1, len(seen) + 1))
        await asyncio.sleep(pause)
    return seen


@pytest.mark.parametrize("pauses", [(0, 0.0005, 0.003, 0.02)])
async def test_1_who_takes_a_place_first_and_commits_late_is_seen_first_at_any_poll_timing(
    path: Path, pauses: tuple[float, ...]
) -> None:
    async with opened_log(path) as log, holder(path) as a:
        followers = [asyncio.create_task(follow(log, 12, pause)) for pause in pauses]
        b = [asyncio.create_task(log.append(new_append(f"b-{number}"))) for number in range(10)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in b)
        assert (await log.head()).position == 0  # nobody sees what is not committed
        await say(a, "commit")
        outcomes = await asyncio.gather(*b)
        seen = await asyncio.wait_for(asyncio.gather(*followers), 10)
        assert await said(a) == {"position": 2}

    assert sorted(outcome.position for outcome in outcomes) == list(range(3, 13))
    for events in seen:
        assert [event.stream for event in events[:2]] == ["held-1", "held-1"]
        assert events == seen[0]
    check_file(path)


@pytest.mark.parametrize("way", ["roll back", "kill"])
async def test_2_an_append_that_is_rolled_back_leaves_no_gap_and_nobody_waits_for_it(path: Path, way: str) -> None:
    async with opened_log(path) as log, holder(path) as a:
        follower = asyncio.create_task(follow(log, 10, 0.001))
        b = [asyncio.create_task(log.append(new_append(f"b-{number}"))) for number in range(10)]
        await asyncio.sleep(0.1)
        if way == "kill":
            a.kill()
        else:
            await say(a, way)
        start_ = time.perf_counter()
        outcomes = await asyncio.gather(*b)
        seen = await asyncio.wait_for(follower, 10)
        assert time.perf_counter() - start_ < 2

        assert sorted(outcome.position for outcome in outcomes) == list(range(1, 11))
        assert not [event for event in seen if event.stream == "held-1"]
        assert await log.outcome("held") is None
    check_file(path)


@pytest.mark.parametrize("way", ["idle", "stopped"])
async def test_3_while_the_lock_is_kept_appends_fail_in_bounded_time_and_recover_when_it_is_free(
    path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOCK_TIMEOUT", timedelta(milliseconds=300))
    async with shop.open(url_of(path)) as app:
        async with holder(path) as a:
            if way == "stopped":
                a.send_signal(signal.SIGSTOP)
            began = time.perf_counter()
            results, longest = await held_up(
                asyncio.gather(*[app.execute(order(f"{number}")) for number in range(20)], return_exceptions=True)
            )
            assert isinstance(results, list)
            assert {type(result) for result in results} == {Unavailable}
            assert "write lock" in str(results[0])
            assert str(path) in str(results[0])
            assert time.perf_counter() - began < 2
            assert longest < 0.25
            assert await app.ask(OrderCount()) == 0  # questions are answered all the time
        receipts = await asyncio.gather(*[app.execute(order(f"{number}")) for number in range(20)])
        assert sorted(receipt.token.position for receipt in receipts) == list(range(1, 21))
        await check_whole(app)
    check_file(path)


async def test_3_a_queue_behind_a_kept_lock_fails_in_bounded_time_however_long_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOCK_TIMEOUT", timedelta(milliseconds=300))
    async with opened_log(path) as log, holder(path):
        began = time.perf_counter()
        appends = [log.append(new_append(f"b-{number}")) for number in range(5000)]
        results = await asyncio.gather(*appends, return_exceptions=True)
        assert {type(result) for result in results} == {Unavailable}
        # One who comes behind 5000 others waits as long as one who comes first, or a few times as long.
        assert time.perf_counter() - began < 1.5


async def test_3_a_short_hold_is_waited_for_while_the_event_loop_runs_on(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        async with holder(path) as a:

            async def let_go() -> None:
                await asyncio.sleep(0.5)
                await say(a, "roll back")

            letting_go = asyncio.create_task(let_go())
            results, longest = await held_up(
                asyncio.gather(*[app.execute(order(f"{number}")) for number in range(50)], return_exceptions=True)
            )
            await letting_go
        assert isinstance(results, list)
        assert not [result for result in results if isinstance(result, BaseException)]
        assert longest < 0.25
        await check_whole(app)
    check_file(path)


async def test_3_a_held_views_file_delays_answers_that_need_it_and_no_command(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        first = await app.execute(order("0"))
        await app.caught_up(first.token)
        blocker = sqlite3.connect(path.with_name("shop.views.db"), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            receipt, longest = await held_up(app.execute(order("1")))
            assert not isinstance(receipt, BaseException)
            assert longest < 0.25
            assert await app.ask(OrderCount(), after=first.token) == 1
        finally:
            blocker.close()
        assert await app.ask(OrderCount(), after=receipt.token) == 2


async def test_5_an_append_without_a_condition_that_races_conditional_ones_keeps_the_streams_order(path: Path) -> None:
    async with opened_log(path) as one, opened_log(path) as other:
        for round_ in range(30):
            stream = f"raced-{round_}"
            version = (await one.append(new_append(stream, events=2))).version
            results: list[Any] = await asyncio.gather(
                *[log.append(new_append(stream, condition=StreamAt(version))) for log in (one, other, one)],
                *[log.append(new_append(stream, events=2)) for log in (one, other)],
                return_exceptions=True,
            )
            kept = [result for result in results[:3] if not isinstance(result, Conflict)]
            assert len(kept) <= 1
            events = await other.load(stream)
            assert events.version == len(events.events) == 2 + len(kept) + 4
            records = [event for event in (await one.read_records(0, 10_000)).events if event.stream == stream]
            assert [event.version for event in records] == list(range(1, events.version + 1))
    check_file(path)


async def test_8_appends_over_streams_and_tags_in_opposite_orders_do_not_deadlock(path: Path) -> None:
    async with opened_log(path) as one, opened_log(path) as other:
        names = [f"{number}" for number in range(20)]
        there = [new_append(f"s-{name}", tags=(f"t:{name}", "t:all")) for name in names * 10]
        back = [new_append(f"s-{name}", tags=("t:all", f"t:{name}")) for name in reversed(names * 10)]
        outcomes = await asyncio.gather(*[one.append(each) for each in there], *[other.append(each) for each in back])
        assert sorted(outcome.position for outcome in outcomes) == list(range(1, 401))
    check_file(path)
