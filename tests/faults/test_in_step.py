"""Views in step with the log over real processes: killed, cut off, rebuilt, divided and switched under load."""

import asyncio
import json
import random
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from diptych.stores.postgres import writer
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.in_step import KeptInStep
from tests.app.shop import AllOrders, ShipOrder, order
from tests.app.stepping import following, in_step
from tests.faults.postgres_tools import kill, session
from tests.faults.tools import ROOT, check_whole, end, said, start, token_at

LOOK = {
    "head": "SELECT coalesce(max(position), 0) FROM {log}event",
    "behind": "SELECT min(position) FROM {meta}segment JOIN {meta}generation USING (name, generation) "
    "WHERE name = 'OrderSummary' AND state = 'live'",
    "ahead": "SELECT max(position) FROM {meta}segment JOIN {meta}generation USING (name, generation) "
    "WHERE name = 'OrderSummary' AND state = 'live'",
    "placed": "SELECT count(*) FROM {log}event WHERE type = 'OrderPlaced'",
    "rows": "SELECT count(*) FROM {views}ordersummary",
    "shipped": "SELECT count(*) FROM {log}event WHERE type = 'OrderShipped'",
    "sent": "SELECT count(*) FROM {views}ordersummary WHERE status = 'shipped'",
}


class Seen(NamedTuple):
    """What one snapshot of the database has: the log's end, the view's segments, and events beside rows."""

    head: int
    behind: int
    ahead: int
    placed: int
    rows: int
    shipped: int
    sent: int

    def check(self) -> None:
        assert self.behind == self.ahead == self.head, self
        assert (self.placed, self.shipped) == (self.rows, self.sent), self


async def look(url: str) -> Seen:
    if url.startswith("sqlite"):
        return await asyncio.to_thread(_look_into, Path(url.removeprefix("sqlite:///")))
    schema = address_of(url).schema
    names = {"log": f"{schema}.", "meta": f"{schema}.", "views": f"{address_of(url).views_schema}."}
    async with session(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return Seen(*[await connection.fetchval(sql.format(**names)) for sql in LOOK.values()])


def _look_into(path: Path) -> Seen:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5)) as connection:
        connection.execute("BEGIN")
        names = {"log": "", "meta": "diptych_", "views": ""}
        return Seen(*[connection.execute(sql.format(**names)).fetchone()[0] for sql in LOOK.values()])


async def watch(url: str, process: Process) -> int:
    """Looks as long as the process runs; how often it did."""
    looks = 0
    while process.returncode is None:
        (await look(url)).check()
        looks += 1
        await asyncio.sleep(0.002)
    return looks


async def loading(url: str, orders: int, context: str = "in_step") -> Process:
    """A process under load, when it is at work."""
    process = await start("loader", url, orders, context, limit=2**24)
    assert "ready" in await said(process)
    return process


async def drained(process: Process) -> list[bytes]:
    """What it has said until its end."""
    assert process.stdout is not None
    lines = (await asyncio.wait_for(process.stdout.read(), 120)).splitlines()
    await process.wait()
    return lines


async def command(url: str, *words: str) -> str:
    """What a command line of the same context says."""
    target = ("--target", "tests.app.stepping:in_step", "--store", url)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "diptych", *words, *target, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    out, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    return out.decode()


async def check_end(url: str, orders: int) -> None:
    """Everything is there once, and the view is its fold."""
    (await look(url)).check()
    async with in_step.open(url, projectors=False) as app:
        assert len(await check_whole(app)) == 2 * orders


async def test_a_process_that_is_killed_in_the_middle_of_appends_leaves_view_and_log_together(url: str) -> None:
    dice, orders = random.Random(5), 600 if url.startswith("sqlite") else 120
    for _ in range(6):
        process = await loading(url, orders)
        reading, watching = asyncio.create_task(drained(process)), asyncio.create_task(watch(url, process))
        await asyncio.sleep(dice.uniform(0, 0.3))
        await killed(process)
        await reading
        await watching
        (await look(url)).check()
    process = await loading(url, orders)
    watching = asyncio.create_task(watch(url, process))
    assert json.loads((await drained(process))[-1]) == {"done": True}
    assert await watching
    await check_end(url, orders)


async def killed(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_a_view_is_rebuilt_and_divided_while_others_append(url: str) -> None:
    orders = 30_000 if url.startswith("sqlite") else 5_000
    process = await loading(url, orders)
    reading = asyncio.create_task(drained(process))
    try:
        for words in (
            ["rebuild", "OrderSummary"],
            ["divide", "OrderSummary", "--segments", "3"],
            ["rebuild", "OrderSummary"],
        ):
            await command(url, "projection", *words)
            assert process.returncode is None, "the load was over too early to try anything"
            (await look(url)).check()
        assert "rows are as the log says" in await command(url, "projection", "audit", "OrderSummary")
    finally:
        await end(process)
        await asyncio.gather(reading, return_exceptions=True)
    (await look(url)).check()


async def test_a_view_is_switched_under_load_and_every_token_is_answered(url: str) -> None:
    """Each process asks for every order that it has placed, with the token; the later ones send the same commands."""
    orders = 1500 if url.startswith("sqlite") else 200
    first = await loading(url, orders, "following")
    second = await loading(url, orders, "in_step")
    reading = [asyncio.create_task(drained(process)) for process in (first, second)]
    third = await loading(url, orders, "following")
    reading.append(asyncio.create_task(drained(third)))
    for lines in await asyncio.gather(*reading):
        assert json.loads(lines[-1]) == {"done": True}
    async with following.open(url) as app:
        assert len(await check_whole(app)) == 2 * orders
    async with in_step.open(url) as app:
        receipt = await app.execute(order("last"))
        assert await app.ask(AllOrders(), after=receipt.token, timeout=timedelta(seconds=20))
        assert len(await check_whole(app)) == 2 * orders + 1


async def test_a_process_that_stops_in_mid_append_keeps_the_log_from_others_for_a_while_only(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BETWEEN_STATEMENTS", {"idle_in_transaction_session_timeout": "500"})
    follow, stopped = KeptInStep._follow, asyncio.Event()

    async def stop(self: KeptInStep, *rest: Any) -> Any:
        if not stopped.is_set():
            stopped.set()
            await asyncio.sleep(2)
        return await follow(self, *rest)

    async with in_step.open(postgres_url) as app, in_step.open(postgres_url, projectors=False) as other:
        await other.execute(order("0"))
        monkeypatch.setattr(KeptInStep, "_follow", stop)
        stopping = asyncio.create_task(app.execute(order("1"), command_id="stops"))
        await stopped.wait()
        receipt = await other.execute(order("2"))
        assert not stopping.done()
        assert receipt.token.position == 2, "what had stopped is not kept"
        assert (await stopping).token.position == 3, "it is sent again"
        (await look(postgres_url)).check()


async def test_a_connection_that_is_lost_in_mid_append_loses_and_doubles_nothing(
    postgres_url: str,
) -> None:
    async with in_step.open(postgres_url) as app:
        await app.execute(order("0"))
        over, dice = asyncio.Event(), random.Random(7)

        async def cut() -> int:
            cuts = 0
            while not over.is_set():
                cuts += await kill(postgres_url, "writer")
                await asyncio.sleep(dice.uniform(0.1, 0.3))
            return cuts

        async def client(name: int) -> None:
            for number in range(25):
                place = await app.execute(order(f"{name}-{number}"), command_id=f"place-{name}-{number}")
                assert place == await app.execute(order(f"{name}-{number}"), command_id=f"place-{name}-{number}")
                await app.execute(ShipOrder(order_id=f"{name}-{number}"), command_id=f"ship-{name}-{number}")

        cutting = asyncio.create_task(cut())
        await asyncio.gather(*[client(name) for name in range(8)])
        over.set()
        assert await cutting > 0
        (await look(postgres_url)).check()
        events = await check_whole(app)
        assert len(events) == 401
        assert len({event.metadata.command_id for event in events}) == 401
        assert await app.ask(AllOrders(), after=token_at(app, 401))
