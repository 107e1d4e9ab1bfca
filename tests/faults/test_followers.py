"""Faults 26, 27 and 29: many events that no view cares for, lost notifications, tokens that lie ahead."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from diptych import App, Malformed, NotCaughtUp, Token
from diptych.log import Bell
from diptych.read import Projector, projector
from diptych.stores import store_at
from tests.app.shop import OrderById, OrderCount, ShipOrder, order, shop
from tests.faults.tools import check_whole, end, new_append, opened_log, said, sqlite_log, start, token_at, url_of


async def strangers(url: str, count: int) -> None:
    """Fills the log with events that no view handles, a thousand to an append."""
    async with store_at(url).log() as log:
        for number in range(0, count, 1000):
            await log.append(new_append(f"stranger-{number}", events=1000, type="Stranger"))


async def past_strangers(url: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop.open(url) as app:
        await app.caught_up((await app.execute(order("0"))).token)
    await strangers(url, count)

    async with shop.open(url) as app:
        await app.caught_up(token_at(app, count + 1), timeout=timedelta(seconds=60))
        (standing,) = await app.standings()
        assert (standing.position, standing.lag.events) == (count + 1, 0)
        receipt = await app.execute(ShipOrder(order_id="0"))
        row = await app.ask(OrderById(order_id="0"), after=receipt.token)
        assert row is not None
        assert row.status == "shipped"
    read = Projector._read
    since: list[int] = []

    async def reading(self: Projector, after: int) -> Any:
        since.append(after)
        return await read(self, after)

    monkeypatch.setattr(Projector, "_read", reading)
    async with shop.open(url) as app:
        await app.caught_up((await app.execute(order("1"))).token)
    assert min(since) == count + 2, "a start reads nothing of them again"


async def test_26_a_view_moves_past_events_that_it_does_not_care_for_and_a_start_reads_none_of_them(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await past_strangers(url, 30_000, monkeypatch)


@pytest.mark.soak
async def test_26_a_view_moves_past_half_a_million_events_that_it_does_not_care_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await past_strangers(url, 500_000, monkeypatch)


async def test_26_pages_that_are_cut_short_by_the_scan_lose_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.stores.sqlite.log.SCAN_EVENTS", 100)
    async with shop.open(url_of(path)) as app:
        for number in range(5):
            await app.execute(order(f"{number}"))
            await sqlite_log(app).append(new_append(f"stranger-{number}", events=997, type="Stranger"))
        await app.caught_up(token_at(app, 5 * 998))
        assert await app.ask(OrderCount()) == 5


async def test_26_a_stranger_that_the_views_pass_over_stops_nobody_who_does_not_need_it(url: str) -> None:
    await strangers(url, 1000)
    async with shop.open(url) as app:
        receipt = await app.execute(order("1"))
        assert receipt.token.position == 1001
        assert await app.ask(OrderCount(), after=receipt.token) == 1


# 27: notifications are lost


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bell is broken."""
    monkeypatch.setattr(Bell, "ring", lambda self, position: None)


@pytest.mark.usefixtures("silent")
async def test_27_a_follower_that_hears_nothing_learns_of_events_within_the_polling_bound(path: Path) -> None:
    async with opened_log(path) as writer, opened_log(path) as reader:
        for number in range(5):
            waiting = asyncio.create_task(reader.wait_past(number, timedelta(seconds=10)))
            await asyncio.sleep(0.03)
            assert not waiting.done()
            await writer.append(new_append(f"s-{number}"))
            began = time.perf_counter()
            assert await waiting
            assert time.perf_counter() - began < 0.5


@pytest.mark.usefixtures("silent")
async def test_27_views_that_hear_nothing_follow_within_the_polling_bound(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        for number in range(10):
            receipt = await app.execute(order(f"{number}"))
            began = time.perf_counter()
            assert await app.ask(OrderById(order_id=f"{number}"), after=receipt.token) is not None
            assert time.perf_counter() - began < 1
        await check_whole(app)


async def test_27_one_process_hears_of_anothers_events_by_polling(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "IDLE", timedelta(seconds=1))
    async with shop.open(url_of(path)) as app:
        await asyncio.sleep(0.1)  # its projector waits by now
        async with opened_log(path) as other:
            outcome = await other.append(new_append("stranger-1", type="Stranger"))
        began = time.perf_counter()
        await app.caught_up(token_at(app, outcome.position))
        assert time.perf_counter() - began < 1.5


async def test_27_views_that_no_process_is_told_of_are_found_to_be_there_within_the_polling_bound(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def add_listener(*_: Any) -> None:
        """As a pooler does: it takes the LISTEN, and forgets it."""

    monkeypatch.setattr(asyncpg.Connection, "add_listener", add_listener)
    worker = await start("projecting", url)
    try:
        assert (await said(worker))["ready"]
        async with shop.open(url, projectors=False) as app:
            for number in range(5):
                receipt = await app.execute(order(f"{number}"))
                assert await app.ask(OrderById(order_id=f"{number}"), after=receipt.token) is not None
    finally:
        await end(worker)


# 29: a token ahead of the view, or of another log


async def stuck(*_: Any) -> None:
    """A projector that never gets anywhere."""
    await asyncio.sleep(3600)


async def test_29_a_view_that_lags_gives_no_older_answer_but_an_error_in_good_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop.open(url) as app:
        await app.caught_up((await app.execute(order("0"))).token)
    monkeypatch.setattr(Projector, "run", stuck)
    async with shop.open(url) as app:
        receipt = await app.execute(order("1"))
        began = time.perf_counter()
        with pytest.raises(NotCaughtUp) as caught:
            await app.ask(OrderCount(), after=receipt.token, timeout=timedelta(milliseconds=200))
        assert 0.1 < time.perf_counter() - began < 2
        assert (caught.value.view, caught.value.position, caught.value.wanted) == ("OrderSummary", 1, 2)
        assert await app.ask(OrderCount()) == 1  # who shows no token is answered
        answer = await app.answer(OrderCount(), after=receipt.token, timeout=timedelta(milliseconds=100), lenient=True)
        assert (answer.value, answer.position, answer.stale, answer.lag.events) == (1, 1, True, 1)


async def test_29_a_token_of_the_far_future_or_of_another_log_is_not_waited_for(url: str) -> None:
    async with shop.open(url) as app:
        for token, error in (
            (Token.at(app.log.log_id, 10**17), NotCaughtUp),
            (Token.at(app.log.log_id, 1), NotCaughtUp),  # nothing is there yet
            (Token.at("0123456789abcdef", 1), Malformed),
            (Token.at("0123456789abcdef", 10**17), Malformed),
        ):
            for lenient in (True, False):
                with pytest.raises(error, match=r"ahead of the log|from another log"):
                    await app.answer(OrderCount(), after=token, timeout=timedelta(hours=1), lenient=lenient)


async def test_29_no_client_of_any_process_gets_an_older_answer_than_its_token_while_workers_come_and_go(
    url: str,
) -> None:
    workers = [await start("projecting", url) for _ in range(2)]

    async def client(app: App, name: int) -> None:
        for number in range(25):
            receipt = await app.execute(order(f"{name}-{number}"))
            count = await app.ask(OrderCount(starting=f"{name}-"), after=receipt.token, timeout=timedelta(seconds=60))
            assert count == number + 1

    try:
        for worker in workers:
            assert (await said(worker))["ready"]
        async with shop.open(url, projectors=False) as one, shop.open(url, projectors=False) as other:
            asking = asyncio.gather(*[client(app, name) for name, app in enumerate((one, other, one, other))])
            while not asking.done():
                await end(workers.pop(0))
                workers.append(await start("projecting", url))
                await said(workers[-1])
            await asking
    finally:
        for worker in workers:
            await end(worker)
