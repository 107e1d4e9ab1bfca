"""Faults 13 and 14: rebuilds that race with appends, and rebuilds that are killed; all by the command line."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from diptych import App, Token
from diptych.read import Generation, Pause, State
from diptych.stores import store_at
from diptych.stores.sqlite import SqliteStore
from tests.app.shop import OrderById, OrderCount, import_orders, order, shop
from tests.faults.commands import SLOW, done, over, ran, rebuilding, rebuilt, serving
from tests.faults.tools import ROOT, check_whole, end, said, start, until, url_of

SHAPE = shop.folds[0].shape


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """A new store in a file, and one on the newest PostgreSQL."""
    if request.param == "sqlite":
        return url_of(path)
    found: str = request.getfixturevalue("postgres_url")
    return found


async def generations(url: str) -> list[Generation]:
    async with store_at(url).views() as views:
        return list(await views.generations(SHAPE))


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


async def filled(url: str, events: int) -> None:
    """A view of a log that takes a while to be filled again."""
    await import_orders(url, events)
    await done(url, "projection", "rebuild", "OrderSummary")


# Fault 13


async def test_13_no_answer_is_older_than_its_token_while_a_view_is_rebuilt(url: str) -> None:
    await filled(url, 5000)
    async with shop.open(url) as app:
        async with under_load(app):
            found = [await rebuilt(url, *words) for words in (["--workers", "3"], [])]
        assert [one["generation"] for one in found] == [2, 3]
        await check_whole(app)
    (live,) = await generations(url)
    assert len(live.checkpoints) == 3, "a view stays divided as it was"


async def test_13_a_rebuild_that_races_the_appends_of_another_process_ends_with_a_fold(path: Path) -> None:
    url = url_of(path)
    process = await start("loader", url, 600)
    try:
        assert "ready" in await said(process)
        assert process.stdout is not None
        heard = asyncio.create_task(process.stdout.read())
        rounds = 0
        while not heard.done():
            await rebuilt(url)
            rounds += 1
        assert rounds
        assert b'"done"' in await heard
        assert await process.wait() == 0
    finally:
        await end(process)
    async with shop.open(url) as app:
        await check_whole(app)


async def test_13_two_rebuilds_at_once_and_appends_end_with_a_fold(url: str) -> None:
    await filled(url, 20_000)
    async with shop.open(url) as app:
        async with under_load(app, clients=2):
            found = await asyncio.gather(rebuilt(url), rebuilt(url))
        assert {rebuild["generation"] for rebuild in found} <= {2, 3}
        await check_whole(app)
    assert len(await generations(url)) == 1


async def test_13_several_processes_fill_one_generation_together(url: str) -> None:
    await filled(url, 15_000)
    process = await rebuilding(url, "--workers", "3", target=SLOW)
    owners: set[str] = set()

    async def all_have_come() -> bool:
        owners.update(at.owner for one in await generations(url) for at in one.checkpoints if at.owner is not None)
        return len(owners) == 3

    await until(all_have_come, 20)
    assert (await over(process)).code == 0
    async with shop.open(url) as app:
        await check_whole(app)


# Fault 14


async def killed_again_and_again(url: str, events: int, kills: int, seed: int) -> None:
    dice = random.Random(seed)
    await filled(url, events)
    async with shop.open(url) as app:
        await app.caught_up(Token.at(app.log.log_id, events))
        async with under_load(app, clients=1):
            for kill in range(kills):
                process = await rebuilding(url, "--workers", f"{kill % 2 + 1}")
                await asyncio.sleep(dice.uniform(0, 0.25))
                await end(process)
                assert await app.ask(OrderCount(starting="imported"), after=await app.token()) == events
            await rebuilt(url)
        await check_whole(app)
    assert len(await generations(url)) == 1


async def test_14_a_rebuild_that_is_killed_at_random_instants_needs_no_cleaning(url: str) -> None:
    await killed_again_and_again(url, events=15_000, kills=3, seed=14)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_14_a_rebuild_that_is_killed_a_hundred_times_needs_no_cleaning(url: str, seed: int) -> None:
    await killed_again_and_again(url, events=300_000, kills=100, seed=seed)


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
        if sql.lstrip().startswith(sys.argv[1]):
            os.write(1, b"crashed")
            os._exit(9)
        return self.connection.execute(sql, *binds)

def crashing(method):
    async def crash(self, *arguments, **more):
        self._writer = Crashing(self._writer)
        return await method(self, *arguments, **more)
    return crash
SqliteViews.complete = crashing(SqliteViews.complete)
SqliteViews.switch = crashing(SqliteViews.switch)

main(["projection", "rebuild", "OrderSummary", "--target", "tests.app.shop:shop", "--store", sys.argv[2]])
"""


@pytest.mark.parametrize(
    "at", ["BEGIN", "CREATE INDEX", "ALTER TABLE", "DELETE", "UPDATE", "DROP VIEW", "CREATE VIEW", "COMMIT"]
)
async def test_14_a_rebuild_that_is_killed_anywhere_between_fill_and_switch_is_only_to_be_run_again(
    path: Path, at: str
) -> None:
    url = url_of(path)
    await import_orders(url, 100)
    async with shop.open(url) as app:
        await check_whole(app)
    for _ in range(2):
        crashed = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", CRASH, at, url], cwd=ROOT, capture_output=True, check=False
        )
        assert (crashed.stdout, crashed.returncode) == (b"crashed", 9), crashed.stderr
        async with shop.open(url) as app:
            await app.execute(order(f"{await app.token()}"))
            await check_whole(app)
    assert [one.state for one in await generations(url)] == [State.LIVE, State.FILLING]
    found = await rebuilt(url)
    assert (found["generation"], found["began_at"], found["position"]) == (2, 101, 102)
    assert len(await generations(url)) == 1
    async with shop.open(url) as app:
        await check_whole(app)


# An operator's hand


async def test_a_rebuild_that_is_interrupted_says_how_to_go_on_and_goes_on_there(url: str) -> None:
    await filled(url, 12_000)
    process = await rebuilding(url, "--workers", "2", "--keep", target=SLOW)

    async def some_is_filled() -> bool:
        return any(one.position for one in await generations(url) if one.state is State.FILLING)

    await until(some_is_filled, 20)
    process.send_signal(signal.SIGINT)
    stopped = await over(process)
    assert (stopped.code, stopped.out) == (130, "")
    assert "stopped; what is filled is kept, and the views answer as before." in stopped.err
    go_on = f"diptych projection rebuild OrderSummary --workers 2 --keep --target {SLOW} --store "
    assert f"Go on with: {go_on}" in stopped.err
    live, unfinished = await generations(url)
    assert (live.number, unfinished.number, unfinished.free) == (1, 2, 2), (
        "nobody has it, and nobody has to be waited for"
    )

    found = await rebuilt(url, "--keep")
    assert (found["generation"], found["began_at"]) == (2, unfinished.position)
    assert [one.state for one in await generations(url)] == [State.KEPT, State.LIVE]


async def test_a_rebuild_that_is_cancelled_elsewhere_ends_and_the_view_stays(url: str) -> None:
    await filled(url, 8000)
    process = await rebuilding(url, target=SLOW)
    cancelled = await done(url, "projection", "cancel", "OrderSummary")
    assert cancelled["generation"] == 2
    stopped = await over(process)
    assert (stopped.code, stopped.out) == (1, "")
    assert "another rebuild, or an operator, has ended this one of OrderSummary meanwhile" in stopped.err
    (live,) = await generations(url)
    assert (live.number, live.live) == (1, True)


async def test_a_view_is_divided_and_merged_under_load_and_no_answer_is_too_old(url: str) -> None:
    await filled(url, 2000)
    async with serving(url, "--role", "projector"), shop.open(url) as app:
        async with under_load(app, clients=2):
            for segments in (4, 1):
                divided = await done(url, "projection", "divide", "OrderSummary", "--segments", f"{segments}")
                assert divided["segments"] == segments
        await check_whole(app)


async def test_an_audit_finds_nothing_under_load(url: str) -> None:
    await filled(url, 3000)
    async with shop.open(url) as app, under_load(app, clients=2):
        for sample in ("1", "3"):
            audited = await done(url, "projection", "audit", "OrderSummary", "--sample", sample)
            assert audited["differences"] == 0
            assert audited["rows"] >= 3000 / int(sample) / 2


# What was lost


async def test_views_that_were_lost_are_filled_by_whoever_starts_next(path: Path) -> None:
    url = url_of(path)
    await import_orders(url, 500)
    async with shop.open(url) as app:
        await check_whole(app)
    for file in path.parent.glob("shop.views.db*"):
        file.unlink()
    assert (await ran(url, "projection", "status")).code == 1

    async def live() -> bool:
        return [one.position for one in await generations(url) if one.live] == [500]

    async with serving(url, "--role", "projector"):
        await until(live, 20)
    audited = await done(url, "projection", "audit", "OrderSummary")
    assert (audited["rows"], audited["differences"]) == (500, 0)


# A pause, over processes


async def test_a_pause_holds_in_every_process_and_over_restarts(path: Path) -> None:
    url = url_of(path)
    process = await start("loader", url, 100_000)
    try:
        assert "ready" in await said(process)
        await asyncio.sleep(0.3)
        async with SqliteStore(path).views() as views:
            await views.pause(SHAPE, Pause("2026-01-31T12:00:00+00:00", "to look"))
            (paused,) = await views.generations(SHAPE)
            await asyncio.sleep(0.5)
            assert positions(await views.generations(SHAPE)) == positions([paused])
            await end(process)
            async with shop.open(url) as app:
                await app.execute(order("late"))
                await asyncio.sleep(0.3)
                assert positions(await views.generations(SHAPE)) == positions([paused])
                await views.resume(SHAPE)
                await check_whole(app)
    finally:
        await end(process)


def positions(found: object) -> list[int]:
    assert isinstance(found, list)
    return [one.position for one in found]


def test_nothing_is_left_in_the_file_of_what_was_replaced(path: Path) -> None:
    url = url_of(path)
    asyncio.run(filled(url, 3000))
    for _ in range(2):
        asyncio.run(rebuilt(url))

    async def swept() -> bool:
        async with shop.open(url) as app:
            await check_whole(app)
        return tables(path) == 1

    asyncio.run(until(swept, 30))


def tables(path: Path) -> int:
    """How many tables of rows there are, of whatever generation."""
    with closing(sqlite3.connect(SqliteStore(path).views_path)) as views:
        found = views.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE '%OrderSummary%'")
        count: int = found.fetchone()[0]
    return count
