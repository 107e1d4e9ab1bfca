"""Snapshots of one turn of the event loop share a transaction, and nobody sees less for it than they have seen."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from diptych import View
from diptych.log import Anchor
from diptych.read import Checkpoint, ViewShape, ViewStore
from diptych.stores.sqlite import SqliteStore
from diptych.stores.sqlite import snapshot as snapshots

LOG = "0123456789abcdef"


class Row(View, key="id"):
    id: str
    value: int


SHAPE = ViewShape(Row)


@pytest_asyncio.fixture
async def views(tmp_path: Path) -> AsyncGenerator[ViewStore]:
    async with SqliteStore(tmp_path / "log.db").views() as views:
        yield views


@pytest_asyncio.fixture
async def elsewhere(tmp_path: Path) -> AsyncGenerator[ViewStore]:
    """The same file as another process has it."""
    async with SqliteStore(tmp_path / "log.db").views() as views:
        yield views


async def live(views: ViewStore, log_id: str = LOG) -> Checkpoint:
    """The view as it goes live, of one segment."""
    generation = await views.prepare(SHAPE, log_id)
    await views.switch(SHAPE, generation.number)
    return generation.checkpoints[0]


async def write(views: ViewStore, at: Checkpoint, value: int) -> Checkpoint:
    return await views.commit(SHAPE, {"1": Row(id="1", value=value)}, at, Anchor(at.position + 1, b"e"))


async def read(views: ViewStore) -> tuple[int, int]:
    """The checkpoint's position and the row's value, under one snapshot."""
    async with views.snapshot() as snapshot:
        position = (await snapshot.generation(SHAPE)).position
        rows = await snapshot.get_many(SHAPE, ["1"])
    return position, rows["1"].value


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a snapshot may be shared for the whole turn."""
    monkeypatch.setattr(snapshots, "SHARED_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
async def test_what_this_process_has_written_is_seen_by_the_next_snapshot_of_the_turn(views: ViewStore) -> None:
    at = await write(views, await live(views), 0)
    for value in range(1, 20):
        assert await read(views) == (at.position, value - 1)
        at = await write(views, at, value)
        assert await read(views) == (at.position, value)


@pytest.mark.usefixtures("patient")
async def test_snapshots_of_one_turn_are_one_and_the_next_turn_sees_what_another_process_wrote(
    views: ViewStore, elsewhere: ViewStore
) -> None:
    at = await write(views, await live(views), 0)
    assert await read(views) == (1, 0)
    await write(elsewhere, at, 1)
    assert await read(views) == (1, 0)

    await turn()

    assert await read(views) == (2, 1)


async def test_a_reader_that_never_lets_go_of_the_loop_sees_what_another_process_wrote_soon(
    views: ViewStore, elsewhere: ViewStore
) -> None:
    at = await write(views, await live(views), 0)
    assert await read(views) == (1, 0)
    await write(elsewhere, at, 1)

    end = time.monotonic() + 10
    while await read(views) != (2, 1):
        assert time.monotonic() < end


@pytest.mark.usefixtures("patient")
async def test_a_snapshot_that_others_have_overtaken_is_shared_with_nobody(views: ViewStore) -> None:
    at = await write(views, await live(views), 0)
    async with views.snapshot() as old:
        await old.generation(SHAPE)
        await write(views, at, 1)
        assert await read(views) == (2, 1)
        assert (await old.get_many(SHAPE, ["1"]))["1"].value == 0
    assert await read(views) == (2, 1)


async def test_no_transaction_outlives_its_turn(views: ViewStore, tmp_path: Path) -> None:
    await write(views, await live(views), 0)
    await read(views)
    await turn()

    with sqlite3.connect(tmp_path / "log.views.db") as other:
        busy, pages, moved = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert (busy, pages, moved) == (0, 0, 0), "a reader would keep the write-ahead log from being emptied"


@pytest.mark.usefixtures("patient")
async def test_a_view_that_begins_anew_is_read_anew(views: ViewStore) -> None:
    await write(views, await live(views), 0)
    assert await read(views) == (1, 0)
    at = await write(views, await live(views, "fedcba9876543210"), 7)
    assert at.generation == 2
    assert await read(views) == (1, 7)
