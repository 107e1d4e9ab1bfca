"""Faults 9 and 18: killed processes, cut power. What was acknowledged is there, and nothing half is."""

import asyncio
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.app.shop import OrderCount, ShipOrder, order, shop
from tests.faults.tools import (
    ROOT,
    check_file,
    check_whole,
    end,
    events_of,
    new_append,
    opened_log,
    said,
    sqlite_log,
    start,
    token_at,
    url_of,
)


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

    async def checks(self, path: Path) -> None:
        check_file(path)
        async with shop.open(url_of(path)) as app:
            events = await check_whole(app)
            by_command = {event.metadata.command_id: event.position for event in events}
            assert len(by_command) == len(events)
            for id, position in self.accepted.items():
                assert by_command[id] == position
            for position, event_id in self.seen.items():
                assert events[position - 1].event_id == event_id


async def killed_under_load(path: Path, orders: int, rounds: int, seed: int, signal_: int = signal.SIGKILL) -> None:
    dice, witness = random.Random(seed), Witness()
    kills = 0
    while kills < rounds and not witness.done:
        process = await start("loader", path, orders)
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
            await witness.checks(path)
    assert kills == rounds  # the load was never done before
    last = await start("loader", path, orders)  # the same commands again bring it to completion
    assert last.stdout is not None
    witness.hears(await asyncio.wait_for(last.stdout.read(), 120))
    assert await last.wait() == 0
    assert witness.done
    assert len(witness.accepted) == 2 * orders
    await witness.checks(path)
    async with shop.open(url_of(path)) as app:
        assert len(await events_of(app)) == 2 * orders


async def test_18_a_process_that_is_killed_at_random_instants_loses_nothing_that_it_acknowledged(path: Path) -> None:
    await killed_under_load(path, orders=3000, rounds=15, seed=18)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
async def test_18_a_process_that_is_killed_hundreds_of_times_loses_nothing(path: Path, seed: int) -> None:
    await killed_under_load(path, orders=20_000, rounds=60, seed=seed)


async def test_18_an_interrupted_process_that_is_started_again_goes_on(path: Path) -> None:
    await killed_under_load(path, orders=1500, rounds=4, seed=2, signal_=signal.SIGINT)


async def test_18_an_interrupt_in_the_middle_of_the_load_ends_the_process_in_good_time(path: Path) -> None:
    process = await start("loader", path, 100_000, stderr=subprocess.PIPE)
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
    check_file(path)


# Power cuts. Between two fsyncs of the write-ahead log any part of its new bytes may be lost. The file has a header of
# 32 bytes, then frames of a header of 24 bytes and a page.

HEADER, FRAME_HEADER, PAGE = 32, 24, 4096
FRAME = FRAME_HEADER + PAGE


class Tape:
    """A log's two files as they were after each commit, and how much of the log was acknowledged by then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wal = path.with_name(path.name + "-wal")
        self.marks: list[tuple[int, int]] = []

    def mark(self, position: int) -> None:
        """Everything up to the position is acknowledged, with the log as long as it is now."""
        self.marks.append((self.wal.stat().st_size, position))

    def bytes(self) -> tuple[bytes, bytes]:
        """Of both files, as they are now."""
        return self.path.read_bytes(), self.wal.read_bytes()

    def safe(self, size: int) -> int:
        """The last position that was acknowledged before the log had more than so many bytes."""
        return max((position for at, position in self.marks if at <= size), default=0)


async def record(path: Path, commits: int, seed: int) -> tuple[Tape, bytes, bytes]:
    """Runs commits of one and of several events, as groups and alone. Gives the tape and the two files' bytes."""
    dice, tape = random.Random(seed), Tape(path)
    async with opened_log(path) as log:
        log._writer.execute("PRAGMA wal_autocheckpoint = 0")
        log._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(commits):
            appends = [
                log.append(
                    new_append(f"s-{dice.randrange(5)}-{number}-{each}", events=dice.randrange(1, 4), tags=("t:1",))
                )
                for each in range(dice.choice([1, 1, 3]))
            ]
            outcomes = await asyncio.gather(*appends)
            tape.mark(max(outcome.position for outcome in outcomes))
        database, wal = tape.bytes()
    return tape, database, wal


def look(folder: Path, database: bytes, wal: bytes) -> list[tuple[int, bytes]]:
    """What SQLite recovers of these two files: positions and ids. Everything in it is whole."""
    folder.mkdir(exist_ok=True)
    path = folder / "shop.db"
    for old in folder.iterdir():
        old.unlink()
    path.write_bytes(database)
    path.with_name("shop.db-wal").write_bytes(wal)
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT position, event_id FROM event ORDER BY position").fetchall()
    connection.close()
    check_file(path)
    assert [position for position, _ in rows] == list(range(1, len(rows) + 1))
    return rows


def cuts(tape: Tape, wal: bytes, dice: random.Random, *, between: int) -> list[int]:
    """Sizes to cut at: every frame's edge, and some bytes within frames."""
    edges = range(HEADER, len(wal) + 1, FRAME)
    within = [dice.randrange(len(wal)) for _ in range(between)]
    return sorted({0, 1, HEADER - 1, *edges, *(edge + FRAME_HEADER for edge in edges[:-1:7]), *within})


async def power_cuts(path: Path, *, commits: int, between: int, seed: int) -> None:
    tape, database, wal = await record(path, commits, seed)
    dice = random.Random(seed)
    everything = look(path.parent / "all", database, wal)
    assert len(everything) == tape.marks[-1][1]
    for size in cuts(tape, wal, dice, between=between):
        found = look(path.parent / "cut", database, wal[:size])
        assert found == everything[: len(found)]
        assert len(found) >= tape.safe(size), size
    for _ in range(between):  # blocks are written in any order: some of the end is there, and some of it is not
        size = dice.randrange(HEADER, len(wal))
        torn = bytearray(wal)
        for start_ in range(size, len(wal), 512):
            if dice.random() < 0.3:
                torn[start_ : start_ + 512] = bytes(len(torn[start_ : start_ + 512]))
        found = look(path.parent / "torn", database, bytes(torn))
        assert found == everything[: len(found)]
        assert len(found) >= tape.safe(size), size


async def test_18_a_power_cut_at_any_byte_leaves_a_prefix_with_all_that_was_acknowledged(path: Path) -> None:
    await power_cuts(path, commits=25, between=60, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
async def test_18_power_cuts_at_thousands_of_bytes_leave_a_prefix(path: Path, seed: int) -> None:
    await power_cuts(path, commits=60, between=500, seed=seed)


async def test_18_a_power_cut_in_the_middle_of_a_checkpoint_loses_nothing(path: Path) -> None:
    _, before, wal = await record(path, 20, 3)
    everything = look(path.parent / "all", before, wal)
    after = checkpointed(path)
    dice = random.Random(4)
    for _ in range(30):  # some of the pages have arrived, in any order
        size = dice.choice([len(before), len(after)])
        mixed = bytearray(before.ljust(size, b"\0")[:size])
        for page in range(0, size, PAGE):
            if dice.random() < 0.5:
                mixed[page : page + PAGE] = after[page : page + PAGE]
        assert look(path.parent / "mixed", bytes(mixed), wal) == everything


def checkpointed(path: Path) -> bytes:
    """The database with all pages of the write-ahead log moved into it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


async def test_18_every_commit_is_forced_to_the_disk(path: Path) -> None:
    async with opened_log(path) as log:
        assert log._writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert log._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_18_a_store_after_a_power_cut_takes_the_same_commands_again_and_its_views_follow(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        sqlite_log(app)._writer.execute("PRAGMA wal_autocheckpoint = 0")
        for number in range(20):
            await app.execute(order(f"{number}"), command_id=f"place-{number}")
        half = path.with_name("shop.db-wal").stat().st_size
        for number in range(20):
            await app.execute(ShipOrder(order_id=f"{number}"), command_id=f"ship-{number}")
        await app.caught_up(token_at(app, 40))
        folder = path.parent / "after"
        folder.mkdir()
        for file in path.parent.glob("shop.*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, folder)
    copy = folder / "shop.db"
    with copy.with_name("shop.db-wal").open("rb+") as wal:
        wal.truncate(half + FRAME // 2)

    async with shop.open(url_of(copy)) as app:
        events = await events_of(app)
        assert 20 <= len(events) < 40
        # The views have seen what is gone: they must not answer as if it were there.
        with pytest.raises(Exception, match=r"lost its end|not yet at|another event"):
            await app.ask(OrderCount(), after=token_at(app, len(events)), timeout=timedelta(seconds=1))
    for file in folder.glob("shop.views.db*"):
        file.unlink()
    async with shop.open(url_of(copy)) as app:
        for number in range(20):
            await app.execute(ShipOrder(order_id=f"{number}"), command_id=f"ship-{number}")
        assert len(await check_whole(app)) == 40
    check_file(copy)


# Fault 9: a crash between the view's rows and its checkpoint

CRASH = """
import asyncio, os, sys
from pathlib import Path
from diptych.stores.sqlite.views import SqliteViews
from tests.app.shop import shop
from tests.faults.tools import token_at, url_of

class Crashing:
    def __init__(self, connection, at):
        self.connection, self.at = connection, at
    def __getattr__(self, name):
        return getattr(self.connection, name)
    def step(self, name):
        if name == self.at and self.connection.in_transaction:
            os.write(1, b"crashed")
            os._exit(9)
    def execute(self, sql, *binds):
        if sql == "COMMIT":
            self.step("before commit")
        result = self.connection.execute(sql, *binds)
        if sql.startswith("UPDATE") and "SET position" in sql:
            self.step("after checkpoint")
        return result
    def executemany(self, sql, rows):
        result = self.connection.executemany(sql, rows)
        self.step("after rows")
        return result

commit = SqliteViews.commit
async def crashing_commit(self, shape, changes, at, upto):
    if not isinstance(self._writer, Crashing) and changes:
        self._writer = Crashing(self._writer, sys.argv[2])
    return await commit(self, shape, changes, at, upto)
SqliteViews.commit = crashing_commit

async def main():
    async with shop.open(url_of(Path(sys.argv[1]))) as app:
        await app.caught_up(token_at(app, 30))
asyncio.run(main())
"""


@pytest.mark.parametrize("at", ["after checkpoint", "after rows", "before commit"])
async def test_9_a_crash_between_the_rows_and_the_checkpoint_leaves_the_view_a_fold_of_the_log(
    path: Path, at: str
) -> None:
    async with shop.open(url_of(path)) as app:
        for number in range(10):
            await app.execute(order(f"{number}"))
        await app.caught_up(token_at(app, 10))
    async with shop.open(url_of(path)) as app:
        for number in range(10):
            await app.execute(ShipOrder(order_id=f"{number}"))
            await app.execute(order(f"more-{number}"))
    forget(path)

    for _ in range(3):
        crashed = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", CRASH, str(path), at], cwd=ROOT, capture_output=True, check=False
        )
        assert (crashed.stdout, crashed.returncode) == (b"crashed", 9), crashed.stderr

    async with shop.open(url_of(path)) as app:
        assert len(await check_whole(app)) == 30


def forget(path: Path) -> None:
    """The views are back at the log's beginning."""
    for file in path.parent.glob("shop.views.db*"):
        file.unlink()
