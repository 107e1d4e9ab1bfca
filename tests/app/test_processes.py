"""Several processes on one file: one log, one view, whoever writes."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from diptych import Recorded, Token
from tests.app.shop import AllOrders, OrderPlaced, OrderShipped, shop

ROOT = Path(__file__).parents[2]


async def start(url: str, name: str, commands: int) -> Process:
    arguments = ["-m", "tests.app.client", url, name, str(commands)]
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=PIPE, stdout=PIPE, cwd=ROOT, limit=2**24
    )


async def told(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    assert line, "the client has ended"
    said: dict[str, Any] = json.loads(line)
    return said


def fold(events: list[Recorded[Any]]) -> list[list[str]]:
    """What the view has to show, by a fold that knows nothing of Diptych's."""
    rows: dict[str, list[str]] = {}
    for recorded in events:
        match recorded.event:
            case OrderPlaced(order_id=id, customer_id=customer, total=total):
                rows[id] = [id, customer, f"{total:.2f}", "placed"]
            case OrderShipped(order_id=id):
                rows[id][3] = "shipped"
    return [rows[id] for id in sorted(rows)]


async def race(url: str, names: list[str], commands: int) -> None:
    async with shop.open(url) as reader:
        clients = [await start(url, name, commands) for name in names]
        accepted: dict[str, int] = {}

        async def listen(client: Process) -> None:
            while "done" not in (said := await told(client)):
                accepted[said["command"]] = said["position"]

        async def follow() -> list[Recorded[Any]]:
            seen: list[Recorded[Any]] = []
            while len(seen) < commands * len(names):
                seen += [event async for event in reader.events(after=Token.at(reader.log.log_id, len(seen)))]
                assert [event.position for event in seen] == list(range(1, len(seen) + 1))
                await asyncio.sleep(0.001)
            return seen

        following = asyncio.create_task(follow())
        await asyncio.wait_for(asyncio.gather(*map(listen, clients)), 120)
        seen = await asyncio.wait_for(following, 30)
        assert len(accepted) == commands * len(names)
        for event in seen:
            assert accepted[event.metadata.command_id] == event.position

        expected = fold(seen)
        for client in clients:
            assert client.stdin is not None
            client.stdin.write(b"\n")
            last = await told(client)
            assert last["head"] == len(seen)
            assert last["rows"] == expected
            client.stdin.close()
            assert await asyncio.wait_for(client.wait(), 30) == 0
        rows = await reader.ask(AllOrders())
        assert [[row.order_id, row.customer_id, f"{row.total:.2f}", row.status] for row in rows] == expected


async def test_three_writing_processes_make_one_gapless_log_and_the_same_view(sqlite_url: str) -> None:
    await race(sqlite_url, ["a", "b", "c"], 200)


@pytest.mark.soak
async def test_eight_writing_processes_make_one_gapless_log_and_the_same_view(sqlite_url: str) -> None:
    await race(sqlite_url, list("abcdefgh"), 2000)
