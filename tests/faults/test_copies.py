"""Faults 6 and 23 on SQLite: a log that is copied elsewhere, and an older copy that is put in its place."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from diptych import NotCaughtUp
from tests.app.shop import OrderCount, ShipOrder, order, shop
from tests.faults.tools import check_file, check_whole, events_of, rebuild, url_of


def back_up(path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


async def test_6_a_copy_goes_on_elsewhere_as_the_same_log(path: Path) -> None:
    copy = path.with_name("copy.db")
    async with shop.open(url_of(path)) as app:
        receipts = [await app.execute(order(f"{number}"), command_id=f"{number}") for number in range(5)]
        back_up(path, copy)  # while it is in use
        log_id = app.log.log_id
    async with shop.open(url_of(copy)) as app:
        assert app.log.log_id == log_id
        assert await app.ask(OrderCount(), after=receipts[-1].token) == 5
        assert await app.execute(order("4"), command_id="4") == receipts[-1]
        assert (await app.execute(ShipOrder(order_id="1"))).token.position == 6
        await check_whole(app)
    check_file(copy)


async def test_23_an_older_copy_under_newer_views_halts_them_until_they_are_filled_anew(path: Path) -> None:
    copy = path.with_name("copy.db")
    async with shop.open(url_of(path)) as app:
        await app.execute(order("1"))
        back_up(path, copy)
        seen = [await app.execute(order(f"{number}")) for number in range(2, 5)]
        await app.caught_up(seen[-1].token)
    for file in path.parent.glob("shop.db*"):
        file.unlink()
    shutil.move(copy, path)

    async with shop.open(url_of(path)) as app:
        assert len(await events_of(app)) == 1
        last = [await app.execute(order(f"other-{number}")) for number in range(6)][-1]  # past what the views have seen
        with pytest.raises(NotCaughtUp, match="lost its end"):
            await app.ask(OrderCount(), after=last.token, timeout=timedelta(seconds=5))
    await rebuild(url_of(path))
    async with shop.open(url_of(path)) as app:
        assert await app.ask(OrderCount(), after=last.token) == 7
        await check_whole(app)
    check_file(path)
