"""The SQLite store keeps every promise of a log and of a read store, also to processes that share nothing but files."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from diptych.errors import NotAStore, Unavailable
from diptych.log import UNOBSERVED, EventLog, LogObserver, SnapshotStore
from diptych.read import NOBODY, InStep, ViewStore
from diptych.stores import Store
from diptych.stores.sqlite import SqliteStore
from diptych.testing import EventLogContract, SnapshotStoreContract, ViewStoreContract
from diptych.testing.event_log import Clock


class Apart:
    """Opens the same files as another process would: nothing in memory is shared, so whoever waits has to poll."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def must_exist(self) -> None:
        SqliteStore(self._path, self._clock).must_exist()

    shared = True
    apart = True

    def log(
        self, observer: LogObserver = UNOBSERVED, context: str | None = None, in_step: InStep = NOBODY
    ) -> AbstractAsyncContextManager[EventLog]:
        return SqliteStore(self._path, self._clock).log(observer, context, in_step)

    def views(self, *, in_step: bool = False) -> AbstractAsyncContextManager[ViewStore]:
        return SqliteStore(self._path, self._clock).views(in_step=in_step)

    def snapshots(self, log: EventLog, /) -> AbstractAsyncContextManager[SnapshotStore]:
        return SqliteStore(self._path, self._clock).snapshots(log)


class TestSqliteLog(EventLogContract):
    @pytest.fixture
    def store(self, tmp_path: Path, clock: Clock) -> Store:
        return SqliteStore(tmp_path / "log.db", clock)


class TestSqliteLogOfSeveralProcesses(EventLogContract):
    @pytest.fixture
    def store(self, tmp_path: Path, clock: Clock) -> Store:
        return Apart(tmp_path / "log.db", clock)


class TestSqliteSnapshots(SnapshotStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SqliteStore(tmp_path / "log.db")


class TestSqliteViews(ViewStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SqliteStore(tmp_path / "log.db")


class TestSqliteViewsOfSeveralProcesses(ViewStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Apart(tmp_path / "log.db", Clock())


def test_a_store_must_exist_before_it_is_only_read_and_asking_makes_none(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "missing.db", "does not exist"),
        (tmp_path / "nowhere" / "shop.db", "does not exist"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(Unavailable, match=reason):
            SqliteStore(path).must_exist()
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "shop.db").touch()
    with pytest.raises(Unavailable, match="is empty"):
        SqliteStore(tmp_path / "shop.db").must_exist()


async def test_a_store_that_was_opened_once_exists(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "shop.db").log():
        pass
    SqliteStore(tmp_path / "shop.db").must_exist()


@pytest.mark.parametrize("part", ["log", "views"])
async def test_a_new_file_may_be_opened_by_many_at_once(tmp_path: Path, part: str) -> None:
    for number in range(30):
        store, start = SqliteStore(tmp_path / f"{number}.db"), threading.Barrier(6, timeout=10)

        async def open_it(store: SqliteStore = store, start: threading.Barrier = start) -> None:
            start.wait()
            async with store.log() if part == "log" else store.views():
                pass

        with ThreadPoolExecutor(6) as pool:
            for opened in [pool.submit(asyncio.run, open_it()) for _ in range(6)]:
                opened.result()


async def test_a_views_file_of_an_older_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    async with store.views():
        pass
    with closing(sqlite3.connect(store.views_path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(
        NotAStore, match=r"has format 1, .* reads format 3\. If it held views, delete it while nothing runs"
    ):
        async with store.views():
            pass
