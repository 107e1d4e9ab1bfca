"""Fault 18: cut power. What was acknowledged is there, and nothing half is.

Between two fsyncs of the write-ahead log any part of its new bytes may be lost. The file has a header of 32 bytes, then
frames of a header of 24 bytes and a page.
"""

import asyncio
import random
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from tests.app.shop import OrderCount, ShipOrder, order, shop
from tests.faults.tools import check_file, check_whole, events_of, new_append, opened_log, sqlite_log, token_at, url_of

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
@pytest.mark.parametrize("seed", range(8))
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
