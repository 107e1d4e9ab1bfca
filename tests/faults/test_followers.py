"""Faults 26, 27 and 29: many events that no view cares for, lost notifications, tokens that lie ahead."""

import asyncio
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from diptych import NotCaughtUp, Token
from diptych.log import Bell
from diptych.read import projector
from tests.app.shop import OrderById, OrderCount, ShipOrder, order, shop
from tests.faults.tools import check_whole, new_append, opened_log, sqlite_log, token_at, url_of


def checkpoints(path: Path) -> dict[str, int]:
    connection = sqlite3.connect(path.with_name("shop.views.db"))
    (table,) = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%fingerprint%'"
    ).fetchone()
    rows = connection.execute(f"SELECT name, position FROM {table}").fetchall()
    connection.close()
    return dict(rows)


async def strangers(path: Path, count: int) -> None:
    """Fills the log with events that no view handles, a thousand to an append."""
    async with opened_log(path) as log:
        for number in range(0, count, 1000):
            await log.append(new_append(f"stranger-{number}", events=1000, type="Stranger"))


async def past_strangers(path: Path, count: int) -> None:
    async with shop.open(url_of(path)) as app:
        await app.caught_up((await app.execute(order("0"))).token)
    await strangers(path, count)

    async with shop.open(url_of(path)) as app:
        await app.caught_up(token_at(app, count + 1), timeout=timedelta(seconds=60))
        assert checkpoints(path) == {"OrderSummary": count + 1}
        receipt = await app.execute(ShipOrder(order_id="0"))
        row = await app.ask(OrderById(order_id="0"), after=receipt.token)
        assert row is not None
        assert row.status == "shipped"
    began = time.perf_counter()
    async with shop.open(url_of(path)) as app:
        await app.caught_up(token_at(app, count + 2))
    assert time.perf_counter() - began < 1  # a start reads nothing of them again


async def test_26_a_view_moves_past_events_that_it_does_not_care_for_and_starts_quickly(path: Path) -> None:
    await past_strangers(path, 30_000)


@pytest.mark.soak
async def test_26_a_view_moves_past_half_a_million_events_that_it_does_not_care_for(path: Path) -> None:
    await past_strangers(path, 500_000)


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


async def test_26_a_stranger_that_the_views_pass_over_stops_nobody_who_does_not_need_it(path: Path) -> None:
    await strangers(path, 1000)
    async with shop.open(url_of(path)) as app:
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


# 29: a token ahead of the view


async def stuck(*_: Any) -> None:
    """A projector that never gets anywhere."""
    await asyncio.sleep(3600)


async def test_29_a_view_that_lags_gives_no_older_answer_but_an_error_in_good_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop.open(url_of(path)) as app:
        await app.caught_up((await app.execute(order("0"))).token)
    monkeypatch.setattr(projector.Projector, "run", stuck)
    async with shop.open(url_of(path)) as app:
        receipt = await app.execute(order("1"))
        began = time.perf_counter()
        with pytest.raises(NotCaughtUp) as caught:
            await app.ask(OrderCount(), after=receipt.token, timeout=timedelta(milliseconds=200))
        assert 0.1 < time.perf_counter() - began < 2
        assert (caught.value.view, caught.value.position, caught.value.wanted) == ("OrderSummary", 1, 2)
        assert await app.ask(OrderCount()) == 1  # who shows no token is answered
        answer = await app.answer(OrderCount(), after=receipt.token, timeout=timedelta(milliseconds=100), lenient=True)
        assert (answer.value, answer.position, answer.stale, answer.lag.events) == (1, 1, True, 1)


async def test_29_a_token_of_the_far_future_is_not_waited_for(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        began = time.perf_counter()
        with pytest.raises(NotCaughtUp, match="ahead of the log"):
            await app.ask(OrderCount(), after=Token.at(app.log.log_id, 10**17))
        assert time.perf_counter() - began < 1
