"""Faults 13 and 14: rebuilds that race with appends, and rebuilds that are killed; all by the command line."""

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from diptych import App, Token
from diptych.read import Pause
from diptych.stores.sqlite import SqliteStore
from tests.app.shop import OrderById, OrderCount, import_orders, order, shop
from tests.faults.tools import ROOT, check_whole, end, said, start, url_of

SHOP = "tests.app.shop:shop"


async def rebuilding(path: Path) -> Process:
    """A rebuild that has just begun to fill its generation."""
    words = (
        "projection",
        "rebuild",
        "OrderSummary",
        "--json",
        "--target",
        "tests.app.shop:shop",
        "--store",
        url_of(path),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "diptych", *words, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), 30)
    assert line.startswith(b"Generation"), line + await process.stderr.read()
    return process


async def rebuilt(path: Path) -> dict[str, Any]:
    process = await rebuilding(path)
    out, complaint = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, complaint
    found: dict[str, Any] = json.loads(out)
    return found


def tables(path: Path) -> int:
    """How many tables of rows there are, live or not."""
    with closing(sqlite3.connect(SqliteStore(path).views_path)) as views:
        found = views.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE 'diptych_OrderS%'")
        count: int = found.fetchone()[0]
    return count


async def reads_its_writes(app: App, client: int, stop: asyncio.Event) -> None:
    """Places orders and asks for each: no answer is older than its token, or than the one before."""
    before = number = 0
    while not stop.is_set():
        number += 1
        receipt = await app.execute(order(f"{client}-{number}"))
        answer = await app.answer(OrderById(order_id=f"{client}-{number}"), after=receipt.token)
        assert answer.value is not None
        assert answer.position >= max(before, receipt.token.position)
        before = (await app.answer(OrderCount())).position
        assert before >= answer.position, "without a token, too, answers do not go back"


@asynccontextmanager
async def under_load(app: App, clients: int = 4) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for client in range(clients):
            group.create_task(reads_its_writes(app, client, stop))
        yield
        stop.set()


# Fault 13


async def test_13_no_answer_is_older_than_its_token_while_a_view_is_rebuilt(path: Path) -> None:
    await import_orders(url_of(path), 5000)
    async with shop.open(url_of(path)) as app:
        async with under_load(app):
            epochs = [(await rebuilt(path))["epoch"] for _ in range(4)]
        assert epochs == [2, 3, 4, 5]
        await check_whole(app)
    assert tables(path) == 1


async def test_13_a_rebuild_that_races_the_appends_of_another_process_ends_with_a_fold(path: Path) -> None:
    process = await start("loader", path, 600)
    try:
        assert "ready" in await said(process)
        assert process.stdout is not None
        heard = asyncio.create_task(process.stdout.read())
        rounds = 0
        while not heard.done():
            await rebuilt(path)
            rounds += 1
        assert rounds
        assert b'"done"' in await heard
        assert await process.wait() == 0
    finally:
        await end(process)
    async with shop.open(url_of(path)) as app:
        await check_whole(app)


async def test_13_two_rebuilds_at_once_and_appends_end_with_a_fold(path: Path) -> None:
    await import_orders(url_of(path), 20_000)
    async with shop.open(url_of(path)) as app:
        async with under_load(app, clients=2):
            found = await asyncio.gather(rebuilt(path), rebuilt(path))
        assert {rebuild["epoch"] for rebuild in found} <= {2, 3}
        await check_whole(app)
    assert tables(path) == 1


# Fault 14


async def killed_again_and_again(path: Path, events: int, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    await import_orders(url_of(path), events)
    async with shop.open(url_of(path)) as app:
        await app.caught_up(Token.at(app.log.log_id, events))
        async with under_load(app, clients=1):
            for _ in range(kills):
                process = await rebuilding(path)
                await asyncio.sleep(dice.uniform(0, 0.25))
                await end(process)
                assert await app.ask(OrderCount(starting="imported"), after=await app.token()) == events
            await rebuilt(path)
        await check_whole(app)
    assert tables(path) == 1


async def test_14_a_rebuild_that_is_killed_at_random_instants_needs_no_cleaning(path: Path) -> None:
    await killed_again_and_again(path, events=40_000, kills=6, seed=14)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_14_a_rebuild_that_is_killed_a_hundred_times_needs_no_cleaning(path: Path, seed: int) -> None:
    await killed_again_and_again(path, events=300_000, kills=100, seed=seed)


CRASH = """
import os, sys
from diptych.cli import main
from diptych.stores.sqlite.views import SqliteViews

class Crashing:
    def __init__(self, connection):
        self.connection = connection
    def __getattr__(self, name):
        return getattr(self.connection, name)
    def execute(self, sql, *binds):
        if sql.startswith(sys.argv[1]):
            os.write(1, b"crashed")
            os._exit(9)
        return self.connection.execute(sql, *binds)

switch = SqliteViews.switch
async def crashing_switch(self, shape, at):
    self._writer = Crashing(self._writer)
    return await switch(self, shape, at)
SqliteViews.switch = crashing_switch

main(["projection", "rebuild", "OrderSummary", "--target", "tests.app.shop:shop", "--store", sys.argv[2]])
"""


@pytest.mark.parametrize("at", ["BEGIN", "DROP TABLE", "DELETE", "UPDATE", "DROP VIEW", "CREATE VIEW", "COMMIT"])
async def test_14_a_rebuild_that_is_killed_anywhere_between_fill_and_switch_is_only_to_be_run_again(
    path: Path, at: str
) -> None:
    await import_orders(url_of(path), 100)
    async with shop.open(url_of(path)) as app:
        await check_whole(app)
    for _ in range(2):
        crashed = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", CRASH, at, url_of(path)], cwd=ROOT, capture_output=True, check=False
        )
        assert (crashed.stdout, crashed.returncode) == (b"crashed", 9), crashed.stderr
        async with shop.open(url_of(path)) as app:
            await app.execute(order(f"{await app.token()}"))
            await check_whole(app)
    assert tables(path) == 2
    found = await rebuilt(path)
    assert (found["epoch"], found["began_at"], found["position"]) == (2, 101, 102)
    assert tables(path) == 1
    async with shop.open(url_of(path)) as app:
        await check_whole(app)


# A pause, over processes


async def test_a_pause_holds_in_every_process_and_over_restarts(path: Path) -> None:
    process = await start("loader", path, 100_000)
    try:
        assert "ready" in await said(process)
        await asyncio.sleep(0.3)
        async with SqliteStore(path).views() as views:
            shape = shop.folds[0].shape
            await views.pause(shape, Pause("2026-01-31T12:00:00+00:00", "a test"))
            (paused,) = await views.generations(shape)
            await asyncio.sleep(0.5)
            assert await views.generations(shape) == [paused]
            await end(process)
            async with shop.open(url_of(path)) as app:
                await app.execute(order("late"))
                await asyncio.sleep(0.3)
                assert await views.generations(shape) == [paused]
                await views.resume(shape)
                await check_whole(app)
    finally:
        await end(process)
