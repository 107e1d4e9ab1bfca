"""Projectors over every store: the view is a pure fold of the log at every checkpoint, whatever fails in between."""

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diptych import Event
from diptych.errors import Unavailable
from diptych.log import PAGE_EVENTS, Anchor, EventLog, Page, RecordPage
from diptych.read import NOTHING_WITHHELD, Checkpoint, Failure, Fold, Projector, Superseded, ViewStore, projector
from diptych.read.parking import Parking
from diptych.stores.memory import MemoryStore
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.rows import RowTable as PostgresTable
from diptych.stores.sqlite import SqliteStore
from diptych.stores.sqlite.views import SqliteViews
from tests.read.engine import (
    SHAPE,
    NewStore,
    Proxy,
    catch_up,
    caught_up,
    fails,
    projector_of,
    running,
    until,
    working,
)
from tests.read.ledger import (
    ACCOUNTS,
    EVENTS,
    LINKS,
    Account,
    Added,
    Closed,
    Dull,
    accounts,
    checkpoint_of,
    encoded,
    expected_accounts,
    expected_links,
    fold_of,
    opened,
    records,
    rows,
    standing,
    tell,
)

BOTH: list[tuple[Fold[Any], Callable[..., list[Any]]]] = [(ACCOUNTS, expected_accounts), (LINKS, expected_links)]
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# The view is a fold of the log


@given(
    chunks=st.lists(st.tuples(st.lists(EVENTS, max_size=12), st.integers(0, 4), st.booleans()), max_size=5),
    batch=st.integers(1, 7),
)
@EXAMPLES
async def test_a_view_equals_the_fold_of_the_log_at_every_checkpoint(
    new_store: NewStore, chunks: list[tuple[list[Event], int, bool]], batch: int
) -> None:
    store = new_store()
    head = 0
    async with opened(store) as (log, _):
        for events, steps, restarted in [*chunks, ([], 1000, True)]:
            for event in events:
                await tell(log, event)
            head = (await log.head()).position
            for fold, expected in BOTH:
                async with store.views() as views:
                    runner = await projector_of(fold, log, views, batch=batch)
                    for _ in range(steps):
                        if runner.checkpoint.position >= head:
                            break
                        await runner.step()
                        assert runner.checkpoint == await checkpoint_of(views, fold.shape)
                        position = runner.checkpoint.position
                        assert await rows(views, fold.shape) == expected(await records(log, position))
                        if restarted:
                            before, runner = runner.checkpoint, await projector_of(fold, log, views, batch=batch)
                            assert runner.checkpoint == before
        async with store.views() as views:
            for fold, _ in BOTH:
                assert (await checkpoint_of(views, fold.shape)).position == head


async def test_a_page_costs_one_load_and_one_commit(new_store: NewStore) -> None:
    class Counting(Proxy):
        loaded: list[set[Any]]
        committed: list[dict[Any, Any]]

        async def load(self, shape: Any, keys: Collection[Any], at: Any) -> Any:
            self.loaded.append(set(keys))
            return await self._real.load(shape, keys, at)

        async def commit(self, shape: Any, changes: Mapping[Any, Any], *rest: Any) -> Any:
            self.committed.append(dict(changes))
            return await self._real.commit(shape, changes, *rest)

    async with opened(new_store()) as (log, views):
        counting = Counting(views)
        counting.loaded, counting.committed = [], []
        await tell(log, *[Added(key=key, amount=Decimal(1)) for key in "aabbba"], Dull(), Closed(key="b"))
        await catch_up(ACCOUNTS, log, cast("ViewStore", counting))
        assert counting.loaded == [{"a", "b"}]
        assert counting.committed == [{"a": Account(key="a", count=3, total=Decimal(3)), "b": None}]


async def test_events_of_no_interest_move_the_checkpoint_and_are_not_read_again(new_store: NewStore) -> None:
    class Counting(Proxy):
        reads: list[int]

        async def read_records(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Any:
            self.reads.append(after)
            return await self._real.read_records(after, limit, types)

    count, dull = 50_000, encoded(Dull())
    async with opened(new_store()) as (log, views):
        counting = Counting(log)
        counting.reads = []
        await tell(log, Added(key="a", amount=Decimal(1)))
        for _ in range(count // 10_000):
            await tell(log, *[dull] * 10_000)
        seen = cast("EventLog", counting)
        await catch_up(ACCOUNTS, seen, views)
        assert (await checkpoint_of(views, SHAPE)).anchor == await log.anchor(count + 1)
        assert len(counting.reads) <= count / PAGE_EVENTS + 1
        counting.reads.clear()
        runner = await projector_of(ACCOUNTS, seen, views)
        await tell(log, Added(key="a", amount=Decimal(1)))
        await runner.step()
        assert counting.reads == [count + 1], "what was read before is not read again"
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(2))]


async def test_a_running_projector_is_woken_by_every_append(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        runner = await projector_of(ACCOUNTS, log, views)
        async with running(runner):
            await asyncio.sleep(0.1)
            begun = time.monotonic()
            for number in range(1, 30):
                await tell(log, Added(key="a", amount=Decimal(number)))

                async def there(number: int = number) -> bool:
                    return runner.checkpoint.position == number

                await until(there)
            assert time.monotonic() - begun < 10, "it does not wait until it looks by itself"
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


async def test_the_page_that_a_log_gives_is_all_that_moves_a_checkpoint(new_store: NewStore) -> None:
    """An `upto` past the last event of a page is trusted; the head is not asked for by itself."""

    class Cautious(Proxy):
        async def read_records(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Any:
            page: RecordPage | Page = await self._real.read_records(after, 2, None)
            wanted: Sequence[Any] = [event for event in page.events if types is None or event.type in types]
            return RecordPage(wanted, page.upto, page.since)

        async def head(self) -> Any:
            raise AssertionError("nobody needs the head")

    async with opened(new_store()) as (log, views):
        await tell(log, Dull(), Dull(), Dull(), Added(key="a", amount=Decimal(1)), Dull())
        runner = await projector_of(ACCOUNTS, cast("EventLog", Cautious(log)), views)
        anchors: list[Anchor] = []
        for _ in range(3):
            assert await runner.step()
            anchors.append(runner.checkpoint.anchor)
        assert anchors == [await log.anchor(2), await log.anchor(4), await log.anchor(5)]
        assert await rows(views, SHAPE) == [Account(key="a", count=1, total=Decimal(1))]


async def test_it_advances_to_a_position_and_not_past_it(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, *[Added(key="a", amount=Decimal(1))] * 4, Dull(), *[Added(key="a", amount=Decimal(1))] * 4)
        for target in (0, 3, 5, 6, 9):
            runner = await projector_of(ACCOUNTS, log, views, batch=2)
            await runner.advance(target)
            assert runner.checkpoint == await checkpoint_of(views, SHAPE)
            assert runner.checkpoint.anchor == await log.anchor(target)
            assert await rows(views, SHAPE) == expected_accounts(await records(log, target))


# Exactly once in effect


async def test_of_two_projectors_of_one_segment_one_goes_on_and_every_event_is_applied_once(
    new_store: NewStore,
) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *[Added(key="ab"[number % 2], amount=Decimal(number)) for number in range(40)])
        one = await projector_of(ACCOUNTS, log, views, batch=2)
        other = await projector_of(ACCOUNTS, log, others, batch=3)
        answers = await asyncio.gather(caught_up(one, log), caught_up(other, log), return_exceptions=True)
        assert [type(answer) for answer in answers if answer is not None] in ([Superseded], [])
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


@given(
    events=st.lists(EVENTS, min_size=1, max_size=20),
    crashes=st.lists(st.integers(0, 2), max_size=12),
    batch=st.integers(1, 7),
)
@EXAMPLES
async def test_a_crash_before_or_after_a_commit_changes_nothing(
    new_store: NewStore, events: list[Event], crashes: list[int], batch: int
) -> None:
    class Crashing(Proxy):
        plan: list[int]

        async def commit(self, *args: Any) -> Checkpoint:
            crash = self.plan.pop() if self.plan else 0
            if crash == 1:
                raise ConnectionError("before the commit")
            checkpoint: Checkpoint = await self._real.commit(*args)
            if crash == 2:
                raise ConnectionError("after the commit")
            return checkpoint

    async with opened(new_store()) as (log, views):
        for event in events:
            await tell(log, event)
        crashing = Crashing(views)
        crashing.plan = list(crashes)
        for _ in range(len(crashes) + 1):
            with suppress(ConnectionError):
                await catch_up(ACCOUNTS, log, cast("ViewStore", crashing), batch)
            position = (await checkpoint_of(views, SHAPE)).position
            assert await rows(views, SHAPE) == expected_accounts(await records(log, position))
        assert (await checkpoint_of(views, SHAPE)).position == len(events)


@pytest.mark.parametrize("statement", range(5))
async def test_a_crash_at_any_statement_of_a_commit_leaves_rows_and_checkpoint_together(
    tmp_path: Path, statement: int
) -> None:
    class Dying(Proxy):
        left: int

        def execute(self, *args: Any) -> Any:
            self._count()
            return self._real.execute(*args)

        def executemany(self, *args: Any) -> Any:
            self._count()
            return self._real.executemany(*args)

        def _count(self) -> None:
            if self.left == 0:
                self._real.close()
                raise sqlite3.OperationalError("the process is gone")
            self.left -= 1

    store = SqliteStore(tmp_path / "log.db")
    async with store.log() as log:
        await tell(log, Added(key="a", amount=Decimal(1)), Added(key="b", amount=Decimal(2)))
        async with store.views() as views:
            await catch_up(ACCOUNTS, log, views)
            checkpoint = await checkpoint_of(views, SHAPE)
        await tell(log, Closed(key="a"), Added(key="b", amount=Decimal(3)))
        dying = SqliteViews(store.views_path, store._view_bells)
        page = await log.read_records(checkpoint.position, 10, ACCOUNTS.types)
        loaded = await dying.load(SHAPE, ["a", "b"], checkpoint)
        fold, parking = fold_of(accounts), Parking(NOTHING_WITHHELD, "")
        changes = fold.apply(fold.plan(page.events, parking)[0], loaded, parking)
        writer = Dying(dying._writer)
        writer.left = statement
        dying._writer = cast("sqlite3.Connection", writer)
        with pytest.raises(Exception):  # noqa: B017, PT011 - how it dies does not matter
            await dying.commit(SHAPE, changes, checkpoint, page.upto)
        async with store.views() as views:
            assert await checkpoint_of(views, SHAPE) == checkpoint
            assert await rows(views, SHAPE) == expected_accounts(await records(log, 2))
            await catch_up(ACCOUNTS, log, views)
            assert await rows(views, SHAPE) == expected_accounts(await records(log))


# What fails outside of the events


class Away(Proxy):
    """A read store that fails at commits as long as it is away."""

    away = True
    tried = 0

    async def commit(self, *args: Any) -> Checkpoint:
        self.tried += 1
        if self.away:
            raise ConnectionError("away")
        checkpoint: Checkpoint = await self._real.commit(*args)
        return checkpoint


async def test_a_store_that_is_away_is_tried_again_and_again_and_says_so_meanwhile(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Dull(), Added(key="a", amount=Decimal(1)))
        away = Away(views)
        runner = await projector_of(ACCOUNTS, log, cast("ViewStore", away), batch=1)
        async with running(runner):
            failure = (await fails(views, SHAPE)).failure
            assert failure is not None
            assert (failure.category, failure.position, failure.reason) == ("store", 1, "away")
            assert datetime.now(UTC) - datetime.fromisoformat(failure.since) < timedelta(minutes=1)

            async def tried_again() -> bool:
                return away.tried >= 3

            await until(tried_again)
            assert (await standing(views, SHAPE)).failure == failure
            away.away = False

            async def done() -> bool:
                return (await checkpoint_of(views, SHAPE)).position == 2

            await until(done)
        assert (await standing(views, SHAPE)).failure is None
        assert await rows(views, SHAPE) == [Account(key="a", count=1, total=Decimal(1))]


async def test_a_failure_is_known_without_a_gap_and_since_its_first_time(
    memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(1)
    monkeypatch.setattr(projector, "utc_now", lambda: f"2026-01-01T{next(hours) % 24:02}:00:00+00:00")
    async with opened(memory) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)))
        failures: list[Failure | None] = []
        away = Away(views)
        for _ in range(3):  # starts
            async with running(await projector_of(ACCOUNTS, log, cast("ViewStore", away))):
                failures.append((await fails(views, SHAPE)).failure)
                tried = away.tried
                while away.tried == tried:
                    await asyncio.sleep(0.01)
                    failures.append((await standing(views, SHAPE)).failure)
        assert len(set(map(str, failures))) == 1


async def test_a_failure_is_over_when_there_is_nothing_left_that_could_fail(new_store: NewStore) -> None:
    class Silent(Proxy):
        times = 1

        async def read_records(self, *args: Any) -> Any:
            if self.times:
                self.times -= 1
                raise ConnectionError("the log is away")
            return await self._real.read_records(*args)

    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)))
        await catch_up(ACCOUNTS, log, views)
        runner = await projector_of(ACCOUNTS, cast("EventLog", Silent(log)), views)
        async with running(runner):
            assert (await fails(views, SHAPE)).failure is not None

            async def over() -> bool:
                return (await standing(views, SHAPE)).failure is None

            await until(over)
        assert await checkpoint_of(views, SHAPE) == runner.checkpoint


async def test_whoever_cannot_even_keep_its_failure_goes_on_when_it_can(new_store: NewStore) -> None:
    class Gone(Away):
        async def record_failure(self, *args: Any) -> Checkpoint:
            raise ConnectionError("away")

    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)))
        gone = Gone(views)
        async with running(await projector_of(ACCOUNTS, log, cast("ViewStore", gone))):

            async def tried() -> bool:
                return gone.tried >= 2

            await until(tried)
            gone.away = False

            async def done() -> bool:
                return (await checkpoint_of(views, SHAPE)).position == 1

            await until(done)


async def test_a_projection_that_fails_holds_up_no_other(new_store: NewStore) -> None:
    class AwayForAccounts(Proxy):
        async def commit(self, shape: Any, *args: Any) -> Checkpoint:
            if shape is SHAPE:
                raise ConnectionError("away")
            checkpoint: Checkpoint = await self._real.commit(shape, *args)
            return checkpoint

    async with opened(new_store()) as (log, views):
        away = cast("ViewStore", AwayForAccounts(views))
        await tell(log, Added(key="a", amount=Decimal(1)))
        async with working(log, away, ACCOUNTS, LINKS):
            await fails(views, SHAPE)
            for number in range(2, 5):
                await tell(log, Dull())

                async def there(number: int = number) -> bool:
                    return (await checkpoint_of(views, LINKS.shape)).position == number

                await until(there)
        assert (await checkpoint_of(views, SHAPE)).position == 0


# A table that is gone


async def test_a_table_that_was_dropped_is_told_of_and_a_rebuild_mends_it(postgres_url: str) -> None:
    async with opened(PostgresStore(postgres_url)) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)))
        live = await catch_up(ACCOUNTS, log, views)
        connection = await asyncpg.connect(address_of(postgres_url).dsn)
        table = PostgresTable(SHAPE, live.number, address_of(postgres_url).views_schema).table
        await connection.execute(f"DROP TABLE {table} CASCADE")
        await connection.close()
        await tell(log, Added(key="a", amount=Decimal(1)))
        async with running(await projector_of(ACCOUNTS, log, views)):
            failure = (await fails(views, SHAPE)).failure
        assert failure is not None
        assert failure.category == "store"
        assert "table of generation 1 of Account was dropped" in failure.reason
        async with views.snapshot() as snapshot:
            await snapshot.generation(SHAPE)
            with pytest.raises(Unavailable, match="projection rebuild"):
                await snapshot.get_many(SHAPE, ["a"])
        begun = await views.begin(SHAPE, log.log_id, anew=True)
        await caught_up(Projector(ACCOUNTS, log, views, begun.checkpoints[0]), log)
        assert await views.switch(SHAPE, begun.number)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
