"""Faults 16, 22 and 27 on PostgreSQL: replies, connections, notifications and whole servers that are lost."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from diptych import OutcomeUnknown, Unavailable
from diptych.log import StreamAt
from diptych.stores.postgres import PostgresStore, connection, listener, writer
from diptych.stores.postgres import log as log_module
from diptych.stores.postgres.log import PostgresLog
from tests.conftest import new_store
from tests.faults.postgres_tools import Proxy, append_in, check_tables, has, kill, opened, session
from tests.faults.tools import new_append, until
from tests.postgres import Server


@pytest.mark.parametrize("way", ["the connection breaks", "there is only silence"])
async def test_16_a_reply_that_is_lost_is_asked_for_again_and_the_append_is_kept_once(
    postgres: Server, postgres_url: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "there is only silence":
        monkeypatch.setattr(connection, "STATEMENT_TIMEOUT", timedelta(milliseconds=500))
        monkeypatch.setattr(connection, "GRACE", timedelta(milliseconds=500))
    proxy = Proxy(postgres.folder)
    async with proxy.serving() as folder:
        behind = postgres_url.replace(str(postgres.folder), str(folder))
        async with opened(behind) as log, opened(postgres_url) as witness:
            await asyncio.gather(*[log.append(new_append("a-1")) for _ in range(2)])  # its statement is prepared now
            proxy.mute = True
            append = new_append("order-1", condition=StreamAt(0), command_id="once")
            group = [append, *[new_append(f"b-{number}") for number in range(5)]]
            waiting = [asyncio.create_task(log.append(each)) for each in group]
            await asyncio.wait_for(proxy.swallowed.wait(), 10)
            await until(lambda: has(witness, 8))  # it is kept, and the client does not know
            if way == "the connection breaks":
                proxy.cut()
            proxy.mute = False
            outcomes = await asyncio.gather(*waiting)
            assert outcomes[0] == await witness.outcome("once")
            assert sorted(outcome.position for outcome in outcomes) == list(range(3, 9))
            assert await log.append(append) == outcomes[0]
            assert (await log.head()).position == 8
    await check_tables(postgres_url)


async def test_22_an_idle_connection_that_was_killed_costs_nobody_an_error(postgres_url: str) -> None:
    async with opened(postgres_url) as log:
        for number in range(1, 6):
            assert (await log.append(new_append("a-1"))).position == number
            assert (await log.load("a-1")).version == number
            assert await kill(postgres_url, "writer") + await kill(postgres_url, "reader") == 2


async def test_22_an_append_whose_server_stays_away_is_unknown_and_known_again_when_it_is_back(
    own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await asyncio.to_thread(new_store, own_postgres)
    monkeypatch.setattr(writer, "RESOLVE_TIMEOUT", timedelta(milliseconds=300))
    proxy = Proxy(own_postgres.folder)
    async with proxy.serving() as folder, opened(url.replace(str(own_postgres.folder), str(folder))) as log:
        await log.append(new_append("a-1"))
        proxy.mute = True
        waiting = asyncio.create_task(log.append(new_append("order-1", command_id="c")))
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        await asyncio.to_thread(own_postgres.stop)
        proxy.cut()
        with pytest.raises(OutcomeUnknown) as raised:
            await waiting
        assert raised.value.command_id == "c"
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await log.append(new_append("order-2"))  # it was never sent
        assert time.monotonic() - began < 2
        await asyncio.to_thread(own_postgres.start)
        outcome = await log.append(new_append("order-1", command_id="c"))
        assert outcome == await log.outcome("c")
        assert outcome.version == 1
    await check_tables(url)


@pytest.mark.parametrize("way", ["the listener is killed", "nothing is ever told"])
async def test_27_events_arrive_within_the_polling_bound_when_notifications_are_lost(
    postgres_url: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "nothing is ever told":

        async def add_listener(*_: Any) -> None:
            """As a pooler does: it takes the LISTEN, and forgets it."""

        monkeypatch.setattr(asyncpg.Connection, "add_listener", add_listener)
    async with opened(postgres_url) as log, opened(postgres_url) as other:
        for position in range(1, 6):
            waiting = asyncio.create_task(log.wait_past(position - 1, timedelta(seconds=10)))
            await asyncio.sleep(0.1)
            if way == "the listener is killed":
                await kill(postgres_url, "listener")
            await other.append(new_append("a-1"))
            began = time.monotonic()
            assert await waiting
            assert time.monotonic() - began < listener.POLL_HEARING.total_seconds() + 0.3


async def test_27_a_follower_that_hears_is_told_at_once_and_hardly_looks(postgres_url: str) -> None:
    async with opened(postgres_url) as log, opened(postgres_url) as other:
        await until(lambda: hears(log), 10)
        late: list[float] = []
        for position in range(1, 21):
            waiting = asyncio.create_task(log.wait_past(position - 1, timedelta(seconds=10)))
            await asyncio.sleep(0.02)
            await other.append(new_append("a-1"))
            began = time.monotonic()
            assert await waiting
            late.append(time.monotonic() - began)
        assert sorted(late)[10] < 0.1


async def hears(log: PostgresLog) -> bool:
    return log._listener.poll == listener.POLL_HEARING


async def test_a_store_that_cannot_be_reached_says_where_and_without_the_password() -> None:
    with pytest.raises(Unavailable) as raised:
        async with PostgresStore("postgresql://ann:secret@127.0.0.1:1/shop").log():
            pass
    assert "postgresql://ann:***@127.0.0.1:1/shop" in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_an_append_that_the_store_does_not_take_harms_no_other_also_when_the_lock_is_kept_then(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "LOCK_TIMEOUT", timedelta(milliseconds=50))
    async with opened(postgres_url) as log, session(postgres_url) as holder:
        transaction = holder.transaction()
        await transaction.start()
        await append_in(holder, postgres_url, new_append("held-1"))
        good = new_append("a-1")
        bad = good._replace(command_id="bad", events=[good.events[0]._replace(schema=2**70)])
        answers = await asyncio.gather(log.append(good), log.append(bad), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        assert "locked" in str(answers[0])
        assert "does not take this append" in str(answers[1])
        await transaction.rollback()
        assert (await log.append(good)).position == 1
    await check_tables(postgres_url)
