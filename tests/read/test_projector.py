"""Projectors over every store: the view is a pure fold of the log at every checkpoint, whatever fails in between."""

import asyncio
import itertools
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diptych import Event, Projection, View
from diptych.log import PAGE_EVENTS, Anchor, EventCatalogue, EventLog, Page, RecordPage
from diptych.read import Checkpoint, Fold, FoldRules, Projector, Superseded, ViewShape, ViewStore, projector
from diptych.read.projector import Halted
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.stores.sqlite import SqliteStore
from diptych.stores.sqlite.views import SqliteViews
from tests.read.ledger import (
    ACCOUNTS,
    EVENTS,
    LINKS,
    Account,
    Added,
    Closed,
    Dull,
    Marked,
    Swept,
    accounts,
    checkpoint_of,
    encoded,
    expected_accounts,
    expected_links,
    fold_of,
    opened,
    records,
    rows,
    tell,
)

NewStore = Callable[[], Store]
SHAPE = ACCOUNTS.shape
BOTH: list[tuple[Fold[Any], Callable[..., list[Any]]]] = [(ACCOUNTS, expected_accounts), (LINKS, expected_links)]
EXAMPLES = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["memory", "sqlite"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    numbers = itertools.count()
    if request.param == "memory":
        return lambda: MemoryStore(lambda: time.time_ns() // 1000)
    return lambda: SqliteStore(tmp_path / f"{next(numbers)}.db")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what it waits for may be another process's work
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncGenerator[None]:
    tasks = [asyncio.create_task(projector.run()) for projector in projectors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def catch_up(projector: Projector, log: EventLog) -> Checkpoint:
    checkpoint = await projector.prepare()
    while checkpoint.position < (await log.head()).position:
        checkpoint = await projector.step(checkpoint)
    return checkpoint


async def reaches(views: ViewStore, shape: ViewShape[Any], position: int) -> None:
    async def there() -> bool:
        return (await checkpoint_of(views, shape)).position >= position

    await until(there)


async def fails(views: ViewStore, shape: ViewShape[Any]) -> Checkpoint:
    async def failed() -> bool:
        return (await checkpoint_of(views, shape)).failure is not None

    await until(failed)
    return await checkpoint_of(views, shape)


class Proxy:
    """Stands for a log or a read store, and changes one thing about it."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


# The view is a fold of the log


@given(
    chunks=st.lists(st.tuples(st.lists(EVENTS, max_size=12), st.integers(0, 4), st.booleans()), max_size=5),
    page=st.integers(1, 7),
)
@EXAMPLES
async def test_a_view_equals_the_fold_of_the_log_at_every_checkpoint(
    new_store: NewStore, chunks: list[tuple[list[Event], int, bool]], page: int
) -> None:
    store = new_store()
    async with opened(store) as (log, _):
        for events, steps, restarted in [*chunks, ([], 1000, True)]:
            for event in events:
                await tell(log, event)
            for fold, expected in BOTH:
                async with store.views() as views:
                    runner = Projector(fold, log, views, page)
                    checkpoint = await runner.prepare()
                    for _ in range(steps):
                        if checkpoint.position >= (await log.head()).position:
                            break
                        checkpoint = await runner.step(checkpoint)
                        assert checkpoint == await checkpoint_of(views, fold.shape)
                        assert await rows(views, fold.shape) == expected(await records(log, checkpoint.position))
                        if restarted:
                            runner = Projector(fold, log, views, page)
                            assert await runner.prepare() == checkpoint
        async with store.views() as views:
            head = (await log.head()).position
            for fold, _ in BOTH if head else ():
                assert (await checkpoint_of(views, fold.shape)).position == head


async def test_a_page_costs_one_load_and_one_commit(new_store: NewStore) -> None:
    class Counting(Proxy):
        loaded: list[set[Any]]
        committed: list[dict[Any, Any]]

        async def load(self, shape: Any, keys: Collection[Any], at: Any) -> Any:
            self.loaded.append(set(keys))
            return await self._real.load(shape, keys, at)

        async def commit(self, shape: Any, changes: Mapping[Any, Any], at: Any, upto: Any) -> Any:
            self.committed.append(dict(changes))
            return await self._real.commit(shape, changes, at, upto)

    async with opened(new_store()) as (log, views):
        counting = Counting(views)
        counting.loaded, counting.committed = [], []
        await tell(log, *[Added(key=key, amount=Decimal(1)) for key in "aabbba"], Dull(), Closed(key="b"))
        await catch_up(Projector(ACCOUNTS, log, cast("ViewStore", counting)), log)
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
        checkpoint = await catch_up(Projector(ACCOUNTS, seen, views), seen)
        assert checkpoint.anchor == await log.anchor(count + 1)
        assert len(counting.reads) <= count / PAGE_EVENTS + 1
        counting.reads.clear()
        begun = time.monotonic()
        async with running(Projector(ACCOUNTS, seen, views)):
            await tell(log, Added(key="a", amount=Decimal(1)))
            await reaches(views, SHAPE, count + 2)
        assert time.monotonic() - begun < 2
        assert min(counting.reads) >= count + 1, "what was read before is not read again"
        assert await rows(views, SHAPE) == [Account(key="a", count=2, total=Decimal(2))]


async def test_a_running_projector_is_woken_by_every_append(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), running(Projector(ACCOUNTS, log, views)):
        for number in range(1, 30):
            begun = time.monotonic()
            await tell(log, Added(key="a", amount=Decimal(number)))
            await reaches(views, SHAPE, number) if number > 1 else await asyncio.sleep(0.2)
            assert time.monotonic() - begun < 0.9, "it does not wait until it looks by itself"
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


# Exactly once in effect


async def test_two_projectors_of_one_view_apply_every_event_once(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views), store.views() as others:
        await views.prepare(SHAPE, log.log_id)
        async with running(Projector(ACCOUNTS, log, views, 2), Projector(ACCOUNTS, log, others, 3)):
            for number in range(150):
                await tell(log, Added(key="ab"[number % 2], amount=Decimal(number)))
                await asyncio.sleep(0.001)
            await reaches(views, SHAPE, 150)
        assert await rows(views, SHAPE) == expected_accounts(await records(log))


@given(
    events=st.lists(EVENTS, min_size=1, max_size=20),
    crashes=st.lists(st.integers(0, 2), max_size=12),
    page=st.integers(1, 7),
)
@EXAMPLES
async def test_a_crash_before_or_after_a_commit_changes_nothing(
    new_store: NewStore, events: list[Event], crashes: list[int], page: int
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
                await catch_up(Projector(ACCOUNTS, log, cast("ViewStore", crashing), page), log)
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
            checkpoint = await catch_up(Projector(ACCOUNTS, log, views), log)
        await tell(log, Closed(key="a"), Added(key="b", amount=Decimal(3)))
        dying = SqliteViews(store.views_path, store._view_bells)
        page = await log.read(checkpoint.position, 10, ACCOUNTS.types)
        loaded = await dying.load(SHAPE, ["a", "b"], checkpoint)
        fold = fold_of(accounts)
        changes = fold.apply(fold.plan((await log.read_records(2)).events), loaded)
        writer = Dying(dying._writer)
        writer.left = statement
        dying._writer = cast("sqlite3.Connection", writer)
        with pytest.raises(Exception):  # noqa: B017, PT011 - how it dies does not matter
            await dying.commit(SHAPE, changes, checkpoint, page.upto)
        async with store.views() as views:
            assert await checkpoint_of(views, SHAPE) == checkpoint
            assert await rows(views, SHAPE) == expected_accounts(await records(log, 2))
            await catch_up(Projector(ACCOUNTS, log, views), log)
            assert await rows(views, SHAPE) == expected_accounts(await records(log))


# Poison events


class Broken(Event):
    key: str
    how: str = "raises"


def broken_accounts(*, broken: bool) -> Fold[Account]:
    """The fold of accounts with one more handler, which fails on what `how` says, or which is repaired."""
    projection = Projection(Account)
    projection.handlers = list(accounts.handlers)

    @projection.on
    def account_broken(row: Account | None, event: Broken) -> Account | None:
        row = row or Account(key=event.key)
        match event.how if broken else "repaired":
            case "raises":
                raise RuntimeError("it's broken")
            case "key":
                return row.replace(key="another")
            case "digits":
                return row.replace(total=Decimal("1e-12"))
            case "range":
                return row.replace(count=2**70)
            case "type":
                return row.replace(count="1")
            case "nested type":
                return row.replace(marks=[1])
            case "object":
                return cast("Account", "no row")
            case _:
                return row.replace(count=row.count + 1)

    problems: list[str] = []
    rules = FoldRules(projection, ViewShape(Account), problems)
    assert problems == []
    return Fold(rules, EventCatalogue([*rules.rules, Broken]))


WAYS = ["raises", "key", "digits", "range", "type", "nested type", "object"]


async def halted(projector: Projector, log: EventLog) -> None:
    with pytest.raises(Halted):
        await catch_up(projector, log)


@pytest.mark.parametrize("page", [1, 100])
@pytest.mark.parametrize("how", WAYS)
async def test_a_poison_event_halts_its_view_after_everything_before_it(
    new_store: NewStore, how: str, page: int
) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)), Added(key="b", amount=Decimal(2)), Closed(key="a"))
        await tell(log, Broken(key="b", how=how), Added(key="b", amount=Decimal(3)))
        await halted(Projector(broken_accounts(broken=True), log, views, page), log)
        checkpoint = await checkpoint_of(views, SHAPE)
        assert checkpoint.anchor == await log.anchor(3)
        assert checkpoint.failure is not None
        assert checkpoint.failure.position == 4
        assert checkpoint.failure.reason
        assert datetime.now(UTC) - datetime.fromisoformat(checkpoint.failure.since) < timedelta(minutes=1)
        assert await rows(views, SHAPE) == expected_accounts(await records(log, 3))


@pytest.mark.parametrize("page", [1, 100])
@pytest.mark.parametrize("how", WAYS)
async def test_a_repaired_projection_goes_on_where_it_stood(new_store: NewStore, how: str, page: int) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)), Broken(key="a", how=how), Added(key="a", amount=Decimal(3)))
        await halted(Projector(broken_accounts(broken=True), log, views, page), log)
        checkpoint = await catch_up(Projector(broken_accounts(broken=False), log, views, page), log)
        assert (checkpoint.position, checkpoint.failure) == (3, None)
        assert await checkpoint_of(views, SHAPE) == checkpoint
        assert await rows(views, SHAPE) == [Account(key="a", count=3, total=Decimal(4))]


@pytest.mark.parametrize("page", [1, 100])
@pytest.mark.parametrize("second", ["raises", "digits", "unreadable"])
@pytest.mark.parametrize("first", ["raises", "key", "digits", "type", "unreadable"])
async def test_of_several_poison_events_the_first_one_halts_the_view(
    new_store: NewStore, first: str, second: str, page: int
) -> None:
    def poison(how: str) -> Any:
        event = encoded(Broken(key="a", how=how))
        return event._replace(schema=9) if how == "unreadable" else event

    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)), poison(first), poison(second))
        await halted(Projector(broken_accounts(broken=True), log, views, page), log)
        checkpoint = await checkpoint_of(views, SHAPE)
        assert checkpoint.failure is not None
        assert (checkpoint.position, checkpoint.failure.position) == (1, 2)
        assert await rows(views, SHAPE) == [Account(key="a", count=1, total=Decimal(1))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2"),
        ({"data": b"{}"}, "missing required field"),
        ({"data": b"\xff"}, ""),
        ({"data": b'{"key":"a","amount":"x"}'}, "amount"),
    ],
)
async def test_an_event_that_cannot_be_read_is_poison(new_store: NewStore, change: dict[str, Any], words: str) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)))
        await tell(log, encoded(Added(key="a", amount=Decimal(1)))._replace(**change))
        await halted(Projector(ACCOUNTS, log, views), log)
        failure = (await checkpoint_of(views, SHAPE)).failure
        assert failure is not None
        assert failure.position == 2
        assert words in failure.reason
        assert len(await rows(views, SHAPE)) == 1


async def test_an_event_without_the_row_that_its_handler_needs_is_poison(new_store: NewStore) -> None:
    projection = Projection(Account)

    @projection.on
    def marked(row: Account, event: Marked) -> Account:
        return row

    async with opened(new_store()) as (log, views):
        await tell(log, Marked(key="nobody"))
        await halted(Projector(fold_of(projection), log, views), log)
        failure = (await checkpoint_of(views, SHAPE)).failure
        assert failure is not None
        assert (failure.position, "nobody" in failure.reason, "marked" in failure.reason) == (1, True, True)


async def test_a_projection_that_stands_still_holds_up_no_other(new_store: NewStore) -> None:
    store = new_store()
    async with opened(store) as (log, views):
        broken = Projector(broken_accounts(broken=True), log, views)
        other = Projector(LINKS, log, views)
        await tell(log, Swept(keys=["a", "b"]), Broken(key="a"), Swept(keys=["b", "c"]))
        async with running(broken, other):
            await fails_soon(views)
            await reaches(views, LINKS.shape, 3)
            await tell(log, Swept(keys=["a", "b"]))
            await reaches(views, LINKS.shape, 4)
        assert await rows(views, LINKS.shape) == expected_links(
            [record for record in await records(log) if record.type != "Broken"]
        )
        assert (await checkpoint_of(views, SHAPE)).position == 1


async def fails_soon(views: ViewStore) -> Checkpoint:
    await asyncio.sleep(0.05)  # until it is prepared
    return await fails(views, SHAPE)


async def test_a_failure_is_known_without_a_gap_and_since_its_first_time(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Later":
            return cls(2026, 1, 1, next(hours), tzinfo=tz)

    class Recording(Proxy):
        states: list[Checkpoint]

        async def commit(self, *args: Any) -> Checkpoint:
            checkpoint: Checkpoint = await self._real.commit(*args)
            self.states.append(await checkpoint_of(self._real, SHAPE))
            return checkpoint

    monkeypatch.setattr(projector, "datetime", Later)
    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)), Broken(key="a"))
        recording = Recording(views)
        recording.states = []
        runner = Projector(broken_accounts(broken=True), log, cast("ViewStore", recording))
        await halted(runner, log)
        first = await checkpoint_of(views, SHAPE)
        recording.states.clear()
        for _ in range(3):
            await halted(runner, log)
        assert await checkpoint_of(views, SHAPE) == first
        assert all(state.failure is not None for state in recording.states), "it stood still all the time"


async def test_a_store_that_is_away_is_tried_again(new_store: NewStore) -> None:
    class Away(Proxy):
        times = 2

        async def commit(self, *args: Any) -> Checkpoint:
            if self.times:
                self.times -= 1
                raise ConnectionError("away")
            checkpoint: Checkpoint = await self._real.commit(*args)
            return checkpoint

    async with opened(new_store()) as (log, views):
        await views.prepare(SHAPE, log.log_id)
        await tell(log, Added(key="a", amount=Decimal(1)))
        async with running(Projector(ACCOUNTS, log, cast("ViewStore", Away(views)))):
            await reaches(views, SHAPE, 1)
        assert await rows(views, SHAPE) == [Account(key="a", count=1, total=Decimal(1))]


# Another log than before


class Posing(Proxy):
    """A log that has taken over another log's id, as a restored copy has."""

    def __init__(self, real: EventLog, log_id: str) -> None:
        super().__init__(real)
        self.log_id = log_id


@pytest.mark.parametrize("others", [2, 3, 9], ids=["shorter", "as long", "longer"])
async def test_a_log_that_lost_its_tail_halts_the_view(new_store: NewStore, others: int) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as other:
        await tell(log, *[Added(key="a", amount=Decimal(1))] * 3)
        before = await catch_up(Projector(ACCOUNTS, log, views), log)
        await tell(other, *[Added(key="b", amount=Decimal(1))] * others)
        async with running(Projector(ACCOUNTS, cast("EventLog", Posing(other, log.log_id)), views)):
            checkpoint = await fails(views, SHAPE)
            await tell(other, Added(key="b", amount=Decimal(1)))
            await asyncio.sleep(0.15)
        assert checkpoint.anchor == before.anchor
        assert checkpoint.failure is not None
        assert "log" in checkpoint.failure.reason
        assert await rows(views, SHAPE) == expected_accounts(await records(log))
        async with running(Projector(ACCOUNTS, log, views)):
            await tell(log, Added(key="a", amount=Decimal(1)))
            await reaches(views, SHAPE, 4)
        assert (await checkpoint_of(views, SHAPE)).failure is None, "its own log is back"


async def test_another_log_fills_the_view_anew(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as other:
        await tell(log, Added(key="a", amount=Decimal(1)))
        await tell(other, Added(key="b", amount=Decimal(5)), Dull())
        old = await catch_up(Projector(ACCOUNTS, log, views), log)
        new = await catch_up(Projector(ACCOUNTS, other, views), other)
        assert (new.position, new.log_id) == (2, other.log_id)
        assert await rows(views, SHAPE) == [Account(key="b", count=1, total=Decimal(5))]
        await tell(log, Added(key="a", amount=Decimal(1)))
        with pytest.raises(Superseded):
            await Projector(ACCOUNTS, log, views).step(old)


async def test_a_new_version_fills_the_view_anew(new_store: NewStore) -> None:
    class Doubled(View, key="key", name="Account"):
        key: str
        total: Decimal

    projection = Projection(Doubled, version=2)

    @projection.on
    def doubled(row: Doubled | None, event: Added) -> Doubled:
        return Doubled(key=event.key, total=(row.total if row else Decimal()) + 2 * event.amount)

    async with opened(new_store()) as (log, views):
        await tell(log, Added(key="a", amount=Decimal(1)), Added(key="a", amount=Decimal(2)))
        await catch_up(Projector(ACCOUNTS, log, views), log)
        fold = fold_of(projection)
        await catch_up(Projector(fold, log, views, 1), log)
        assert await rows(views, fold.shape) == [Doubled(key="a", total=Decimal(6))]


async def test_the_page_that_a_log_gives_is_all_that_moves_a_checkpoint(new_store: NewStore) -> None:
    """An `upto` past the last event of a page is trusted; the head is not asked for by itself."""

    class Cautious(Proxy):
        async def read_records(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Any:
            page: RecordPage | Page = await self._real.read_records(after, 2, None)
            wanted: Sequence[Any] = [event for event in page.events if types is None or event.type in types]
            return RecordPage(wanted, page.upto)

        async def head(self) -> Any:
            raise AssertionError("nobody needs the head")

    async with opened(new_store()) as (log, views):
        await tell(log, Dull(), Dull(), Dull(), Added(key="a", amount=Decimal(1)), Dull())
        runner = Projector(ACCOUNTS, cast("EventLog", Cautious(log)), views)
        checkpoint = await runner.prepare()
        anchors: list[Anchor] = []
        for _ in range(3):
            checkpoint = await runner.step(checkpoint)
            anchors.append(checkpoint.anchor)
        assert anchors == [await log.anchor(2), await log.anchor(4), await log.anchor(5)]
        assert await rows(views, SHAPE) == [Account(key="a", count=1, total=Decimal(1))]
