"""Faults 1, 2, 3, 5 and 8 on PostgreSQL: others who hold, keep, lose and share the log's lock."""

import asyncio
import time
from datetime import timedelta

import pytest

from diptych import Conflict, Unavailable
from diptych.log import Outcome, RecordedEvent, StreamAt
from diptych.stores.postgres import log as log_module
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.log import PostgresLog
from tests.faults.postgres_tools import append_in, check_tables, kill, opened, session, waits_for_the_lock
from tests.faults.tools import new_append, until


async def follow(log: PostgresLog, count: int, pause: float) -> list[RecordedEvent]:
    """A follower that looks again and again, and takes what it sees for all that there is up to there."""
    seen: list[RecordedEvent] = []
    while len(seen) < count:
        page = await log.read_records(seen[-1].position if seen else 0, 3)
        seen += page.events
        assert [event.position for event in seen] == list(range(1, len(seen) + 1))
        await asyncio.sleep(pause)
    return seen


async def test_1_who_takes_a_place_first_and_commits_late_is_seen_first_at_any_poll_timing(postgres_url: str) -> None:
    async with opened(postgres_url) as log, session(postgres_url) as a:
        transaction = a.transaction()
        await transaction.start()
        assert await append_in(a, postgres_url, new_append("held-1", events=2)) == [0]
        followers = [asyncio.create_task(follow(log, 12, pause)) for pause in (0, 0.0005, 0.003, 0.02)]
        b = [asyncio.create_task(log.append(new_append(f"b-{number}"))) for number in range(10)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in b)
        assert (await log.head()).position == 0  # nobody sees what is not committed
        await transaction.commit()
        outcomes = await asyncio.gather(*b)
        seen = await asyncio.wait_for(asyncio.gather(*followers), 10)

    assert sorted(outcome.position for outcome in outcomes) == list(range(3, 13))
    for events in seen:
        assert [event.stream for event in events[:2]] == ["held-1", "held-1"]
        assert events == seen[0]
    await check_tables(postgres_url)


@pytest.mark.parametrize("way", ["roll back", "kill"])
async def test_2_an_append_that_is_rolled_back_leaves_no_gap_and_nobody_waits_for_it(
    postgres_url: str, way: str
) -> None:
    async with opened(postgres_url) as log, session(postgres_url) as a:
        transaction = a.transaction()
        await transaction.start()
        await append_in(a, postgres_url, new_append("held-1", events=2, command_id="held"))
        follower = asyncio.create_task(follow(log, 10, 0.001))
        b = [asyncio.create_task(log.append(new_append(f"b-{number}"))) for number in range(10)]
        await asyncio.sleep(0.1)
        if way == "kill":
            a.terminate()
        else:
            await transaction.rollback()
        began = time.perf_counter()
        outcomes = await asyncio.gather(*b)
        seen = await asyncio.wait_for(follower, 10)
        assert time.perf_counter() - began < 2

        assert sorted(outcome.position for outcome in outcomes) == list(range(1, 11))
        assert not [event for event in seen if event.stream == "held-1"]
        assert await log.outcome("held") is None
    await check_tables(postgres_url)


@pytest.mark.parametrize("way", ["an append", "a table"])
async def test_3_while_the_lock_is_kept_appends_fail_in_bounded_time_and_say_who_keeps_it(
    postgres_url: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "LOCK_TIMEOUT", timedelta(milliseconds=300))
    async with opened(postgres_url) as log, session(postgres_url, "sleepy batch") as holder:
        transaction = holder.transaction()
        await transaction.start()
        if way == "an append":
            await append_in(holder, postgres_url, new_append("held-1"))
        else:
            await holder.execute(address_of(postgres_url).placed("LOCK TABLE diptych.ledger IN SHARE MODE"))
        began = time.perf_counter()
        results = await asyncio.gather(
            *[log.append(new_append(f"b-{number}")) for number in range(5000)], return_exceptions=True
        )
        assert time.perf_counter() - began < 1.5
        assert {type(result) for result in results} == {Unavailable}
        words = str(results[0])
        assert f"held by session {holder.get_server_pid()} (sleepy batch), user postgres, idle in transaction" in words
        assert "nothing was kept" in words
        assert (await log.read_records(0)).events == []  # readers are answered all the time
        await transaction.rollback()

        outcomes = await asyncio.gather(*[log.append(new_append(f"b-{number}")) for number in range(20)])
        assert sorted(outcome.position for outcome in outcomes) == list(range(1, 21))
    await check_tables(postgres_url)


async def test_3_a_short_hold_is_waited_for(postgres_url: str) -> None:
    async with opened(postgres_url) as log, session(postgres_url) as holder:
        transaction = holder.transaction()
        await transaction.start()
        await append_in(holder, postgres_url, new_append("held-1"))
        waiting = asyncio.create_task(log.append(new_append("b-1")))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await transaction.commit()
        assert (await waiting).position == 2


async def test_22_a_session_that_is_killed_while_it_waits_is_sent_again_and_kept_once(postgres_url: str) -> None:
    async with opened(postgres_url) as log, session(postgres_url) as holder:
        await log.append(new_append("a-1"))
        transaction = holder.transaction()
        await transaction.start()
        await append_in(holder, postgres_url, new_append("held-1"))
        waiting = [asyncio.create_task(log.append(new_append(f"b-{number}"))) for number in range(20)]
        await until(lambda: waits_for_the_lock(postgres_url))
        assert await kill(postgres_url, "writer") == 1
        await until(lambda: waits_for_the_lock(postgres_url))  # on a new connection
        await transaction.commit()
        outcomes = await asyncio.gather(*waiting)
        assert sorted(outcome.position for outcome in outcomes) == list(range(3, 23))
        assert (await log.head()).position == 22
    await check_tables(postgres_url)


async def test_5_an_append_without_a_condition_that_races_conditional_ones_keeps_the_streams_order(
    postgres_url: str,
) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as other:
        for round_ in range(30):
            stream = f"raced-{round_}"
            version = (await one.append(new_append(stream, events=2))).version
            results = await asyncio.gather(
                *[log.append(new_append(stream, condition=StreamAt(version))) for log in (one, other, one)],
                *[log.append(new_append(stream, events=2)) for log in (one, other)],
                return_exceptions=True,
            )
            kept = [result for result in results[:3] if isinstance(result, Outcome)]
            assert len(kept) <= 1
            assert all(isinstance(result, Outcome | Conflict) for result in results)
            events = await other.load(stream)
            assert events.version == len(events.events) == 2 + len(kept) + 4
    await check_tables(postgres_url)


async def test_8_appends_over_streams_and_tags_in_opposite_orders_do_not_deadlock(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as other:
        names = [f"{number}" for number in range(20)]
        there = [new_append(f"s-{name}", tags=(f"t:{name}", "t:all")) for name in names * 10]
        back = [new_append(f"s-{name}", tags=("t:all", f"t:{name}")) for name in reversed(names * 10)]
        outcomes = await asyncio.gather(*[one.append(each) for each in there], *[other.append(each) for each in back])
        assert sorted(outcome.position for outcome in outcomes) == list(range(1, 401))
    await check_tables(postgres_url)
