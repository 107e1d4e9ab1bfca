"""Faults 24 and 25: poison events while others are in flight, and dead letters that cannot be stored."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from diptych.read import Failure, Hold
from diptych.stores.sqlite import SqliteStore
from tests.faults.chaos import KEYS, Trail
from tests.faults.commands import ran
from tests.faults.postgres_tools import DISK_FULL, failing
from tests.faults.tools import end, until
from tests.faults.world import CALM, world_at

POISONED = ["k1", "k2", "k3"]
REFUSAL = {"sqlite": "made to fail", "postgresql": "the disk is full"}


async def test_24_poison_events_hold_back_their_keys_alone_and_are_replayed_in_order(url: str) -> None:
    async with world_at(url, "broken") as world:
        for number in range(2):
            await world.start_worker()
            await world.start_writer(number)
        for key in POISONED:
            await world.append(50)
            await world.poison(key)
        await world.append(50)
        await world.end_writers()
        fold = world.fold(Trail)
        live = await world.stands(fold)
        trails = (await world.expected()).trails
        rows = {row.key: row.seen for row in await world.rows(fold)}
        held = 0
        for key in [f"k{number}" for number in range(KEYS)]:
            letters = await world.views(fold).letters(
                fold.shape, live.number, Hold(fold.shape.key_text(key)), limit=10_000
            )
            parked = [letter.position for _, letter in letters]
            assert rows.get(key, []) + parked == trails.get(key, []), "applied before the poison, parked from it on"
            held += bool(parked)
        assert held == live.parked >= len(POISONED)

        for worker in world.workers:
            await end(worker)
        world.code = "mended"
        await world.start_worker()
        await world.start_writer(24)  # while they are replayed
        for one in ("Trail", "Sum"):
            came_to = await ran(url, "projection", "retry", one, target="tests.faults.chaos:MENDED")
            assert came_to.code == 0, came_to.err
        await world.end_writers()
        await world.settled()
        await world.check()


@asynccontextmanager
async def no_room_for_letters(url: str) -> AsyncIterator[None]:
    """Nothing can be parked, for as long as the context lasts."""
    if url.startswith("postgresql"):
        async with failing(url, "letter", "true", DISK_FULL):
            yield
        return
    path = SqliteStore(Path(url.removeprefix("sqlite:///"))).views_path
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as views:
        views.execute(
            "CREATE TRIGGER fail BEFORE INSERT ON diptych_letter BEGIN SELECT RAISE(ABORT, 'made to fail'); END"
        )
        try:
            yield
        finally:
            views.execute("DROP TRIGGER fail")


async def test_25_a_dead_letter_that_cannot_be_stored_keeps_the_checkpoint_where_it_is(url: str) -> None:
    async with world_at(url, "broken") as world:
        await world.start_worker()
        await world.append(30)
        fold = world.fold(Trail)
        await world.stands(fold)
        async with no_room_for_letters(url):
            await world.poison("k1")
            poison = (await world.log.head()).position
            await world.append(30)

            async def known() -> Failure | None:
                live = await world.live(fold)
                return None if live is None else live.failure

            await until(known, CALM)
            failure = await known()
            assert failure is not None
            assert REFUSAL[url.partition(":")[0]] in failure.reason
            live = await world.live(fold)
            assert live is not None
            stuck = [at for at in live.checkpoints if at.failure is not None]
            assert all(at.position < poison and not at.parked for at in stuck)
            assert failure.reason in live.delay
        live = await world.stands(fold)
        assert live.parked
        assert live.failure is None
        for worker in world.workers:
            await end(worker)
        world.code = "mended"
        await world.start_worker()
        await world.settled(repairing=True)
        await world.check()
