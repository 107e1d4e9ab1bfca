"""Fault 18: killed processes. What was acknowledged is there, nothing half is, and nobody saw what is gone."""

import asyncio
import json
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.app.shop import shop
from tests.faults.postgres_tools import check_tables
from tests.faults.tools import check_file, check_whole, end, events_of, said, start, url_of


async def check_store(url: str) -> None:
    """The store's own tables are whole."""
    if url.startswith("sqlite"):
        check_file(Path(url.removeprefix("sqlite:///")))
    else:
        await check_tables(url)


class Witness:
    """Remembers what the processes were told was kept, and what they saw of the log."""

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}
        self.seen: dict[int, str] = {}
        self.done = False

    def hears(self, lines: bytes) -> None:
        for line in lines.split(b"\n")[:-1]:
            match json.loads(line):
                case {"id": id, "position": position}:
                    assert self.accepted.setdefault(id, position) == position  # a retry gets the first outcome
                case {"saw": position, "event_id": event_id}:
                    assert self.seen.setdefault(position, event_id) == event_id  # what was seen never changes
                case {"done": _}:
                    self.done = True

    async def checks(self, url: str) -> None:
        await check_store(url)
        async with shop.open(url) as app:
            events = await check_whole(app)
            by_command = {event.metadata.command_id: event.position for event in events}
            assert len(by_command) == len(events)
            for id, position in self.accepted.items():
                assert by_command[id] == position
            for position, event_id in self.seen.items():
                assert events[position - 1].event_id == event_id


async def killed_under_load(url: str, orders: int, rounds: int, seed: int, signal_: int = signal.SIGKILL) -> None:
    dice, witness = random.Random(seed), Witness()
    kills = 0
    while kills < rounds and not witness.done:
        process = await start("loader", url, orders)
        assert process.stdout is not None
        assert "ready" in await said(process)
        heard = asyncio.create_task(process.stdout.read())
        await asyncio.sleep(dice.uniform(0, 0.12))
        if process.returncode is None:
            process.send_signal(signal_)
            kills += 1
        witness.hears(await asyncio.wait_for(heard, 20))
        await asyncio.wait_for(process.wait(), 20)
        if kills % 5 == 0 or kills == rounds:
            await witness.checks(url)
    assert kills == rounds  # the load was never done before
    last = await start("loader", url, orders)  # the same commands again bring it to completion
    assert last.stdout is not None
    witness.hears(await asyncio.wait_for(last.stdout.read(), 600))
    assert await last.wait() == 0
    assert witness.done
    assert len(witness.accepted) == 2 * orders
    await witness.checks(url)
    async with shop.open(url) as app:
        assert len(await events_of(app)) == 2 * orders


async def test_18_a_process_that_is_killed_at_random_instants_loses_nothing_that_it_acknowledged(url: str) -> None:
    if url.startswith("sqlite"):
        await killed_under_load(url, orders=3000, rounds=15, seed=18)
    else:
        await killed_under_load(url, orders=300, rounds=3, seed=18)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2))
async def test_18_a_process_that_is_killed_again_and_again_loses_nothing(url: str, seed: int) -> None:
    await killed_under_load(url, orders=12_000, rounds=35, seed=seed)


async def test_18_an_interrupted_process_that_is_started_again_goes_on(path: Path) -> None:
    await killed_under_load(url_of(path), orders=1500, rounds=4, seed=2, signal_=signal.SIGINT)


async def test_18_an_interrupt_in_the_middle_of_the_load_ends_the_process_in_good_time(url: str) -> None:
    process = await start("loader", url, 100_000, stderr=subprocess.PIPE)
    try:
        assert "ready" in await said(process)
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(process.communicate(), 5)
        assert process.returncode in (130, -signal.SIGINT, 1)
        assert b"never retrieved" not in errors, errors.decode()
        assert b"was destroyed but it is pending" not in errors
    finally:
        await end(process)
    await check_store(url)
