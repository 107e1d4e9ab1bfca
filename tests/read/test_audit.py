"""The audit over every store: it finds what was planted, and nothing where a view is as the log says."""

import asyncio
import sqlite3
import tracemalloc
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from diptych.errors import NotCaughtUp, Unavailable
from diptych.log import EventLog
from diptych.read import Audit, Division, Hold, NeverFilled, Skip, ViewStore, segment_of
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.rows import RowTable as PostgresTable
from diptych.stores.sqlite import SqliteStore
from diptych.stores.sqlite.rows import RowTable as SqliteTable
from tests.read.auditing import audited, differences, plant
from tests.read.engine import (
    BROKEN,
    LEASE,
    MENDED,
    SHAPE,
    SINCE,
    Broken,
    NewStore,
    Posing,
    catch_up,
    hold,
    reaches,
    working,
)
from tests.read.ledger import ACCOUNTS, LINKS, Account, Added, Closed, Marked, Swept, encoded, opened, standing, tell


def added(count: int, keys: int = 10) -> list[Added]:
    return [Added(key=f"{number % keys}", amount=Decimal(number)) for number in range(count)]


@pytest.mark.parametrize("segments", [1, 3])
async def test_a_planted_hole_double_and_stale_row_are_found_and_nothing_else(
    new_store: NewStore, segments: int
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(40), Marked(key="1"), Swept(keys=["1", "2"]), Closed(key="9"))
        await catch_up(ACCOUNTS, log, views, segments=segments)
        assert await differences(ACCOUNTS, log, views) == []

        double = Account(key="2", count=5, total=Decimal(999))
        stale = Account(key="3", count=1, total=Decimal(3))
        surplus = Account(key="9", count=1, total=Decimal(9))
        await plant(ACCOUNTS, views, {"1": None, "2": double, "3": stale, "9": surplus})
        found = await differences(ACCOUNTS, log, views)
    assert {(one.kind, one.key) for one in found} == {
        ("missing", '"1"'),
        ("other", '"2"'),
        ("other", '"3"'),
        ("surplus", '"9"'),
    }
    by_key = {one.key: one for one in found}
    assert by_key['"3"'].found == stale
    assert by_key['"3"'].expected.count == 4
    assert (by_key['"1"'].found, by_key['"9"'].expected) == (None, None)


async def test_a_key_of_several_fields_is_audited(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Swept(keys=["a", "b", "c"]), Swept(keys=["a", "b"]))
        await catch_up(LINKS, log, views, segments=2)
        assert await differences(LINKS, log, views) == []
        await plant(LINKS, views, {("a", "c"): None})
        assert [one.key for one in await differences(LINKS, log, views)] == ['["a","c"]']


async def test_a_sample_compares_a_part_and_all_samples_together_all(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(200, keys=100))
        await catch_up(ACCOUNTS, log, views)
        audit = Audit(ACCOUNTS, log, views)
        assert [one async for one in audit.run(sample=10)] == []
        assert 0 < audit.rows < 40
        assert audit.position == audit.head == 200


async def test_shares_are_audited_one_by_one(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(200, keys=50))
        await catch_up(ACCOUNTS, log, views, segments=2)
        await plant(ACCOUNTS, views, {f"{number}": None for number in range(20)})
        audit = Audit(ACCOUNTS, log, views, share_rows=10)
        assert len([one async for one in audit.run()]) == audit.differences == 20
        assert audit.rows == 50
        assert audit.position == audit.head == 600


async def test_what_dead_letters_hold_back_and_what_is_passed_over_is_no_difference(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *added(10), Broken(key="1"), *added(10), Broken(key="2"), Broken(key="3"))
        await tell(log, encoded(Added(key="4", amount=Decimal(1)))._replace(schema=9), stream="ledger-2")
        await tell(log, Added(key="4", amount=Decimal(1)), stream="ledger-2")
        await catch_up(BROKEN, log, views, segments=3)
        assert (await standing(views, SHAPE)).parked == 3 + 3
        assert await differences(BROKEN, log, views) == []
        assert await differences(MENDED, log, views) == []
        await plant(BROKEN, views, {"1": None})
        assert [one.key for one in await differences(BROKEN, log, views)] == ['"1"']


async def test_a_stream_that_is_settled_in_one_segment_only_is_no_difference(new_store: NewStore) -> None:
    stream = Hold(stream="ledger-2")
    async with opened(new_store()) as (log, views):
        await tell(log, encoded(Added(key="a", amount=Decimal(1)))._replace(schema=9), *added(10), stream="ledger-2")
        _, second = (await catch_up(ACCOUNTS, log, views, segments=2)).checkpoints
        mine = [event for event in added(10) if segment_of(SHAPE.key_text(event.key), 2) == second.segment]
        rows = {event.key: Account(key=event.key, count=1, total=event.amount) for event in mine}
        await views.settle(SHAPE, second, stream, 11, rows, skip=Skip(stream, 1, "it is old", SINCE))
        assert await differences(ACCOUNTS, log, views) == []
        await plant(ACCOUNTS, views, {mine[0].key: None})
        assert [one.kind for one in await differences(ACCOUNTS, log, views)] == ["missing"]


async def test_nothing_is_found_while_a_view_is_projected_divided_and_its_workers_change(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *added(100))
        async with working(log, views, ACCOUNTS, lease=LEASE):
            await reaches(views, SHAPE, 100)

            async def append() -> None:
                for number in range(60):
                    await tell(log, *added(20))
                    await asyncio.sleep(0.005 if number % 7 else 0.03)

            appending = asyncio.create_task(append())
            audits = 0
            while not appending.done():
                if audits == 2:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(Division("divider", ACCOUNTS, log, others).run(3))
                        group.create_task(nothing_found(log, others))
                await nothing_found(log, others)
                audits += 1
            await appending
        assert audits > 3


async def nothing_found(log: EventLog, views: ViewStore) -> None:
    audit, found = await audited(ACCOUNTS, log, views, share_rows=4)
    assert found == []
    assert audit.rows == 10


async def test_what_never_answered_or_answers_from_another_log_is_not_audited(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        with pytest.raises(NeverFilled):
            await differences(ACCOUNTS, log, views)
        await tell(log, *added(5))
        await views.prepare(SHAPE, log.log_id)
        with pytest.raises(NotCaughtUp, match="no worker projects it"):
            await differences(ACCOUNTS, log, views)
        await catch_up(ACCOUNTS, log, views)
        other: Any = Posing(log, "another")
        with pytest.raises(NotCaughtUp, match="from another log"):
            await differences(ACCOUNTS, other, views)


async def test_a_handler_that_has_changed_since_shows_in_the_rows(memory: MemoryStore) -> None:
    async with opened(memory) as (log, views):
        await tell(log, Broken(key="a", how="raises"), *added(3))
        await catch_up(MENDED, log, views)
        await views.settle(SHAPE, (await standing(views, SHAPE)).checkpoints[0], hold("a"), 1, {})
        assert [(one.kind, one.key) for one in await differences(BROKEN, log, views)] == [("surplus", '"a"')]


async def test_a_view_that_has_what_the_log_lost_is_compared_with_what_there_is(memory: MemoryStore) -> None:
    async with opened(memory) as (log, views):
        await tell(log, *added(5))
        await catch_up(ACCOUNTS, log, views)
        async with opened(MemoryStore(lambda: 1)) as (shorter, _):
            await tell(shorter, *added(3))
            lost: Any = Posing(shorter, log.log_id)
            assert [one.key for one in await differences(ACCOUNTS, lost, views)] == ['"3"', '"4"']


async def test_memory_is_bounded_however_large_the_view_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.read.audit.PAGE_EVENTS", 20)
    monkeypatch.setattr("diptych.read.audit.PAGE_ROWS", 20)
    async with opened(SqliteStore(tmp_path / "large.db")) as (log, views):
        await tell(log, *added(1_000, keys=1_000))
        await catch_up(ACCOUNTS, log, views)
        whole, share = [await peak_of(Audit(ACCOUNTS, log, views, share_rows)) for share_rows in (1_000, 100)]
    assert share < whole / 2


async def peak_of(audit: Audit) -> int:
    tracemalloc.start()
    try:
        assert [one async for one in audit.run()] == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def damage(store: Store, number: int) -> None:
    """Puts into two rows what no field can hold."""
    sql = "UPDATE {} SET marks = '5' WHERE key IN ('3', '9')"
    if isinstance(store, PostgresStore):
        connection = await asyncpg.connect(store.address.dsn)
        await connection.execute(sql.format(PostgresTable(SHAPE, number, store.address.views_schema).table))
        await connection.close()
    else:
        assert isinstance(store, SqliteStore)
        with closing(sqlite3.connect(store.views_path)) as handle, handle:
            handle.execute(sql.format(SqliteTable(SHAPE, number).table))


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_a_row_that_cannot_be_read_is_found_and_keeps_no_other_from_being_compared(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.read.audit.PAGE_ROWS", 4)
    store = new_store()
    async with opened(store) as (log, views):
        await tell(log, *added(20))
        live = await catch_up(ACCOUNTS, log, views)
        await plant(ACCOUNTS, views, {"2": None, "7": Account(key="7", count=9)})
        await damage(store, live.number)
        found = await differences(ACCOUNTS, log, views)
        assert [(one.kind, one.key) for one in found] == [
            ("unreadable", '"3"'),
            ("other", '"7"'),
            ("unreadable", '"9"'),
            ("missing", '"2"'),
        ]
        async with views.snapshot() as snapshot:
            await snapshot.generation(SHAPE)
            with pytest.raises(
                Unavailable, match=r"Row '3' of Account cannot be read: .*marks.*projection rebuild Account"
            ):
                await snapshot.get_many(SHAPE, ["3"])
