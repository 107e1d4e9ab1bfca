"""What is PostgreSQL's own about views: the SQL view of a name, keys of any length, and others at the same rows."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import asyncpg
import pytest

from diptych import View
from diptych.errors import Malformed
from diptych.read import (
    Cause,
    Generation,
    Hold,
    Letter,
    Pause,
    Skip,
    Superseded,
    ViewShape,
    ViewStore,
    Worker,
)
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from tests.views import LOG, at, begin

SINCE = "2026-01-31T12:00:00+00:00"
LONG = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))


class Note(View, key="id", index=("text",)):
    id: str
    text: str = ""


NOTE, NEXT_NOTE = ViewShape(Note), ViewShape(Note, 2)


@pytest.fixture
async def views(postgres_url: str) -> AsyncIterator[ViewStore]:
    async with PostgresStore(postgres_url).views() as views:
        yield views


async def now(views: ViewStore, number: int) -> Generation:
    return next(found for found in await views.generations(NOTE) if found.number == number)


async def selected(views: ViewStore) -> list[str]:
    async with views.snapshot() as snapshot:
        return [row["id"] for row in await snapshot.sql("SELECT id FROM note", {})]


async def until_reached(views: ViewStore, shape: ViewShape[Note], position: int) -> float:
    """When somebody who waits for a position is woken for it, by the monotonic clock."""
    deadline = time.monotonic() + 10
    while not await views.reached(shape, position, timedelta(seconds=10)):
        assert time.monotonic() < deadline
    return time.monotonic()


async def names(url: str, what: str) -> list[str]:
    """What there is of rows: tables, or indexes."""
    connection = await asyncpg.connect(address_of(url).dsn)
    column = {"tables": "tablename", "indexes": "indexname"}[what]
    sql = f"SELECT {column} FROM pg_{what} WHERE schemaname = $1 ORDER BY 1"
    rows = await connection.fetch(sql, address_of(url).views_schema)
    await connection.close()
    return [name for (name,) in rows]


async def test_the_sql_view_shows_what_went_live_last_until_that_is_dropped(views: ViewStore) -> None:
    old = await begin(views, NOTE, [Note(id="old")])
    new = await begin(views, NEXT_NOTE, [Note(id="new")])
    assert await selected(views) == ["new"]
    assert await views.drop(NOTE, new.generation)
    assert await selected(views) == ["old"]
    assert await views.drop(NEXT_NOTE, old.generation)
    with pytest.raises(Malformed, match="note"):
        await selected(views)


async def test_a_generation_that_is_dropped_leaves_no_table(views: ViewStore, postgres_url: str) -> None:
    live = await begin(views, NOTE, [])
    filling = await views.begin(NOTE, LOG)
    assert await names(postgres_url, "tables") == ["Note_1", "Note_2"]
    await views.drop(NOTE, filling.number)
    assert await names(postgres_url, "tables") == ["Note_1"]
    again = (await views.begin(NOTE, LOG)).checkpoints[0]
    assert again.generation == 3
    await views.commit(NOTE, {}, again, live.anchor)
    await views.switch(NOTE, again.generation, keep=True)
    assert await names(postgres_url, "tables") == ["Note_1", "Note_3"]


async def test_declared_indexes_are_made_when_a_generation_is_filled(views: ViewStore, postgres_url: str) -> None:
    number = (await views.prepare(NOTE, LOG)).number
    assert await names(postgres_url, "indexes") == ["Note_1_pkey"]
    for _ in range(2):
        await views.complete(NOTE, number)
        assert await names(postgres_url, "indexes") == ["Note_1_0", "Note_1_pkey"]


async def test_the_live_one_goes_on_while_its_rows_are_copied(views: ViewStore, postgres_url: str) -> None:
    address = address_of(postgres_url)
    live = await begin(views, NOTE, [Note(id=f"{number}") for number in range(1000)])
    connection = await asyncpg.connect(address.dsn)
    async with connection.transaction():  # a copy waits for whoever makes the table of letters its own
        await connection.execute(address.placed("LOCK TABLE diptych.letter IN SHARE MODE"))
        copying = asyncio.create_task(views.begin(NOTE, LOG, onto=at(1)))
        await asyncio.sleep(0.2)
        await views.commit(NOTE, {"new": Note(id="new")}, live, at(2))
        assert not copying.done()
    await connection.close()
    (copied,) = (await copying).checkpoints
    assert set(await views.load(NOTE, ["7"], copied)) == {"7"}
    assert [found.position for found in await views.generations(NOTE)] == [2, 1]


async def test_a_key_that_no_index_can_hold_is_no_row_and_is_parked_all_the_same(views: ViewStore) -> None:
    hold = Hold(NOTE.key_text(LONG))
    checkpoint = await begin(views, NOTE, [])
    with pytest.raises(ValueError, match="cannot hold a row"):
        await views.commit(NOTE, {LONG: Note(id=LONG)}, checkpoint, at(2))
    letter = Letter(hold, 2, "Noted", SINCE, Cause("ValueError: a \0", "…", 1, SINCE, SINCE))
    checkpoint = await views.commit(NOTE, {}, checkpoint, at(2), [letter])
    async with views.snapshot() as snapshot:
        await snapshot.generation(NOTE)
        assert await snapshot.held(NOTE, [hold.key, '"other"'], 2) == letter
        assert await snapshot.held(NOTE, ['"other"'], 2) is None
    skip = Skip(hold, 2, "nobody wants \0\1 that", SINCE)
    await views.settle(NOTE, checkpoint, hold, 2, {}, skip=skip)
    assert await views.skips(NOTE) == [skip]
    assert (await now(views, checkpoint.generation)).parked == 0


async def test_why_a_view_is_paused_may_be_any_text(views: ViewStore) -> None:
    pause = Pause(SINCE, "it said \0 and 🙂")
    await views.pause(NOTE, pause)
    assert (await views.prepare(NOTE, LOG)).pause == pause
    assert await views.resume(NOTE) == pause


async def test_a_commit_that_waits_for_a_pause_sees_it(views: ViewStore, postgres_url: str) -> None:
    address = address_of(postgres_url)
    checkpoint = await begin(views, NOTE, [])
    connection = await asyncpg.connect(address.dsn)
    async with connection.transaction():
        await connection.execute(address.placed("UPDATE diptych.segment SET paused = true"))
        waiting = asyncio.create_task(views.commit(NOTE, {"a": Note(id="a")}, checkpoint, at(2)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    await connection.close()
    with pytest.raises(Superseded):
        await waiting
    assert await selected(views) == []


async def test_a_commit_that_waits_for_a_switch_rings_for_the_live_generation(
    views: ViewStore, postgres_url: str
) -> None:
    async with PostgresStore(postgres_url).views() as other:
        checkpoint = (await views.prepare(NOTE, LOG)).checkpoints[0]
        for round in range(2, 12):
            waiting = asyncio.create_task(until_reached(other, NOTE, round))
            await asyncio.sleep(0.05)
            switching = views.switch(NOTE, checkpoint.generation)
            _, checkpoint = await asyncio.gather(switching, views.commit(NOTE, {}, checkpoint, at(round)))
            committed = time.monotonic()
            assert await waiting - committed < 1
            checkpoint = (await views.begin(NOTE, LOG)).checkpoints[0]
            checkpoint = await views.commit(NOTE, {}, checkpoint, at(round))


async def test_whoever_is_expelled_while_it_takes_a_segment_does_not_keep_it(
    views: ViewStore, postgres_url: str
) -> None:
    generation = await views.prepare(NOTE, LOG, 4)
    async with PostgresStore(postgres_url).views() as other:
        for _ in range(30):
            beat = (await views.beat(Worker("ann", frozenset())))[0].beat
            taking = [views.take(NOTE, checkpoint, "ann") for checkpoint in generation.checkpoints]
            _, expelled, *_ = await asyncio.gather(
                *taking[:2], other.expel("ann", beat), *taking[2:], return_exceptions=True
            )
            assert expelled is not False
            generation = await now(views, generation.number)
            assert [checkpoint.owner for checkpoint in generation.checkpoints] == [None] * 4


async def test_whoever_changes_many_segments_at_once_blocks_nobody_for_ever(
    views: ViewStore, postgres_url: str
) -> None:
    for shape in (NOTE, NEXT_NOTE):
        await views.prepare(shape, LOG, 8)

    async def come_and_go(worker: str) -> None:
        async with PostgresStore(postgres_url).views() as own:
            for _ in range(10):
                await own.beat(Worker(worker, frozenset()))
                for generation in await own.generations(NOTE):
                    for checkpoint in generation.checkpoints:
                        with suppress(Superseded):
                            await own.take(NOTE, checkpoint, worker)
                await own.leave(worker)

    async def pause_and_resume() -> None:
        async with PostgresStore(postgres_url).views() as own:
            for _ in range(40):
                await own.pause(NOTE, Pause(SINCE, ""))
                await own.resume(NOTE)

    await asyncio.gather(come_and_go("ann"), come_and_go("bob"), pause_and_resume(), pause_and_resume())
    for generation in await views.generations(NOTE):
        assert {checkpoint.owner for checkpoint in generation.checkpoints} == {None}


async def test_another_version_of_the_code_that_is_ahead_does_not_keep_those_who_wait_from_being_woken(
    views: ViewStore, postgres_url: str
) -> None:
    checkpoint = await begin(views, NOTE, [])
    ahead = await begin(views, NEXT_NOTE, [])
    async with PostgresStore(postgres_url).views() as other:
        await until_reached(other, NOTE, 1)
        await asyncio.sleep(0.2)  # it hears by now
        waited: list[float] = []
        for position in range(2, 12):
            (ahead,) = next(
                one.checkpoints for one in await views.generations(NOTE) if one.fingerprint != NOTE.fingerprint
            )
            await views.commit(NEXT_NOTE, {}, ahead, at(position + 100))
            waiting = asyncio.create_task(until_reached(other, NOTE, position))
            await asyncio.sleep(0.02)
            checkpoint = await views.commit(NOTE, {}, checkpoint, at(position))
            committed = time.monotonic()
            waited.append(await waiting - committed)
        assert sorted(waited)[5] < 0.1


async def test_the_last_of_segments_that_move_at_the_same_time_rings_for_all(
    views: ViewStore, postgres_url: str
) -> None:
    checkpoints = list((await views.prepare(NOTE, LOG, 4)).checkpoints)
    await views.switch(NOTE, checkpoints[0].generation)
    async with PostgresStore(postgres_url).views() as other:
        await until_reached(other, NOTE, 0)
        await asyncio.sleep(0.2)
        waited: list[float] = []
        for position in range(1, 21):
            waiting = asyncio.create_task(until_reached(other, NOTE, position))
            await asyncio.sleep(0.01)
            moving = [views.commit(NOTE, {}, checkpoint, at(position)) for checkpoint in checkpoints]
            checkpoints = await asyncio.gather(*moving)
            committed = time.monotonic()
            waited.append(await waiting - committed)
        assert max(waited) < 0.4, "nobody was left to look by itself"


async def test_a_commit_in_the_middle_of_a_look_wakes_whoever_waits_at_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(postgres_url)
    async with store.views() as views, store.views() as others:
        live = await views.prepare(NOTE, LOG)
        await views.switch(NOTE, live.number)
        look = views._may_have_reached

        async def overtaken(shape: ViewShape[Note], position: int) -> bool:
            seen = await look(shape, position)
            if not seen:
                await others.commit(NOTE, {}, live.checkpoints[0], at(1))
            return seen

        monkeypatch.setattr(views, "_may_have_reached", overtaken)
        began = time.monotonic()
        assert await views.reached(NOTE, 1, timedelta(seconds=10))
        assert time.monotonic() - began < views._listener.poll.total_seconds() / 2
