"""What an operator may have written where the address of a store should stand."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from diptych import DiptychError, Malformed, NotAStore, Unavailable
from diptych.read import Projector
from diptych.stores.sqlite import connection
from tests.app.shop import OrderCount, order, shop
from tests.privileges import in_a_folder_that_is_read_only


async def refused(url: str, kind: type[DiptychError]) -> str:
    with pytest.raises(kind) as caught:
        async with shop.open(url):
            pass
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize("url", ["", "shop.db", "/var/shop.db", "./shop.db", "sqlite", "://", "//shop.db"])
async def test_an_address_without_a_scheme_is_malformed_and_the_right_form_is_shown(url: str) -> None:
    assert "sqlite:///" in await refused(url, Malformed)


@pytest.mark.parametrize(
    ("url", "nearest"),
    [
        ("sqlit:///x.db", "sqlite"),
        ("sqlite3:///x.db", "sqlite"),
        ("memry://", "memory"),
        ("postgres://h/x", "postgresql"),
    ],
)
async def test_an_unknown_scheme_is_malformed_and_the_nearest_is_named(url: str, nearest: str) -> None:
    assert f"did you mean '{nearest}'" in await refused(url, Malformed)


@pytest.mark.parametrize("url", ["mysql-x://host/db", "http://host/", "c:\\shop.db"])
async def test_a_scheme_that_is_near_to_none_is_malformed_and_all_are_named(url: str) -> None:
    assert "memory, postgresql, sqlite" in await refused(url, Malformed)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://shop.db",
        "sqlite://localhost/shop.db",
        "sqlite:///shop.db?mode=ro",
        "sqlite:///shop.db#1",
        "sqlite:///a%00b.db",
        "sqlite:///:memory:",
        "sqlite://[",
        "sqlite:///\ud800.db",
    ],
    ids=ascii,
)
async def test_a_sqlite_address_that_names_no_file_is_malformed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await refused(url, Malformed)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the folder is short


@pytest.mark.parametrize("name", ["shop.db", "shop", "a b.db", "ö.db", "100%25.db", "a%20b.db", "it's.db", 'a"b.db'])
async def test_a_file_of_any_name_beside_the_working_folder_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        async with shop.open(f"sqlite:///{name}") as app:
            receipt = await app.execute(order("1"), command_id="a")
            assert await app.ask(OrderCount(), after=receipt.token) == 1


async def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    words = await refused(f"sqlite:///{tmp_path}/missing/shop.db", Unavailable)
    assert f"the folder {tmp_path}/missing does not exist" in words
    assert not (tmp_path / "missing").exists()


async def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert f"{tmp_path}/file" in await refused(f"sqlite:///{tmp_path}/file/shop.db", Unavailable)


async def test_a_path_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop.db").mkdir()
    assert f"{tmp_path}/shop.db" in await refused(f"sqlite:///{tmp_path}/shop.db", Unavailable)


async def test_a_path_that_is_too_long_is_unavailable(tmp_path: Path) -> None:
    await refused(f"sqlite:///{tmp_path}/{'x' * 300}.db", Unavailable)


async def test_a_folder_that_may_not_be_written_is_named() -> None:
    with in_a_folder_that_is_read_only() as folder:
        words = await refused(f"sqlite:///{folder}/shop.db", Unavailable)
    assert "permissions" in words
    assert str(folder) in words


def other_application(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE event (id INTEGER)")
        database.execute("INSERT INTO event VALUES (1)")
    database.close()


def other_application_by_its_number(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA application_id = 1")
    database.close()


def number(path: Path, format: int) -> None:
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {format}")
    database.close()


@pytest.mark.parametrize("content", [b"these are words\n", b"\0" * 4096, b"SQLite format 3\0" + b"\xff" * 4096])
@pytest.mark.parametrize("name", ["shop.db", "shop.views.db"])
async def test_a_file_that_is_no_database_is_not_a_store_and_is_left_alone(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    words = await refused(f"sqlite:///{tmp_path}/shop.db", NotAStore)
    assert f"{tmp_path}/{name}" in words
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("make", [other_application, other_application_by_its_number])
@pytest.mark.parametrize("name", ["shop.db", "shop.views.db"])
async def test_another_applications_database_is_not_a_store_and_is_left_alone(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    with sqlite3.connect(tmp_path / name) as database:
        before = list(database.iterdump())
    database.close()

    assert f"{tmp_path}/{name}" in await refused(f"sqlite:///{tmp_path}/shop.db", NotAStore)

    with sqlite3.connect(tmp_path / name) as database:
        assert list(database.iterdump()) == before
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    database.close()


@pytest.mark.parametrize("name", ["shop.db", "shop.views.db"])
async def test_a_store_of_a_newer_format_is_refused_with_both_numbers(tmp_path: Path, name: str) -> None:
    async with shop.open(f"sqlite:///{tmp_path}/shop.db") as app:
        await app.execute(order("1"))
    number(tmp_path / name, 99)

    words = await refused(f"sqlite:///{tmp_path}/shop.db", NotAStore)

    assert "format 99" in words
    assert f"{tmp_path}/{name}" in words


async def test_the_views_file_is_no_store(tmp_path: Path) -> None:
    async with shop.open(f"sqlite:///{tmp_path}/shop.db") as app:
        await app.caught_up((await app.execute(order("1"))).token)
    assert "shop.views.db" in await refused(f"sqlite:///{tmp_path}/shop.views.db", NotAStore)


async def test_a_log_where_the_views_should_be_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with shop.open(f"sqlite:///{tmp_path}/shop.views.db") as app:
        await app.execute(order("1"))
    await refused(f"sqlite:///{tmp_path}/shop.db", NotAStore)
    async with shop.open(f"sqlite:///{tmp_path}/shop.views.db") as app:
        assert [event.stream async for event in app.events()] == ["order-1"]


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"")
    async with shop.open(f"sqlite:///{tmp_path}/shop.db") as app:
        assert (await app.execute(order("1"))).version == 1


async def test_many_who_open_a_new_store_at_once_share_one_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"

    async def one(name: str) -> str:
        async with shop.open(url) as app:
            receipt = await app.execute(order(name))
            await app.caught_up(receipt.token)
            return app.log.log_id

    assert len(set(await asyncio.gather(*[one(str(each)) for each in range(8)]))) == 1
    async with shop.open(url) as app:
        receipt = await app.execute(order("last"))
        assert await app.ask(OrderCount(), after=receipt.token) == 9


@pytest.mark.parametrize("name", ["shop.db", "shop.views.db"])
async def test_opening_while_another_process_holds_the_lock_does_not_hold_up_the_event_loop(
    tmp_path: Path, name: str
) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    async with shop.open(url) as app:
        await app.execute(order("1"))
    holder = sqlite3.connect(tmp_path / name, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1, holder.rollback)
    timer.start()
    longest, last = 0.0, time.perf_counter()

    async def use() -> int:
        async with shop.open(url) as app:
            receipt = await app.execute(order("2"))
            return await app.ask(OrderCount(), after=receipt.token)

    task = asyncio.create_task(use())
    while not task.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    timer.join()
    holder.close()

    assert task.result() == 2
    assert longest < 0.5


@pytest.mark.parametrize("name", ["shop.db", "shop.views.db"])
async def test_opening_while_another_process_keeps_the_lock_works_or_is_unavailable_and_names_the_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOCK_TIMEOUT", timedelta(milliseconds=200))
    url = f"sqlite:///{tmp_path}/shop.db"
    async with shop.open(url):
        pass
    holder = sqlite3.connect(tmp_path / name, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        async with shop.open(url) as app:
            assert await app.ask(OrderCount()) == 0
    except Unavailable as error:
        assert f"{tmp_path}/{name}" in str(error)  # noqa: PT017 - one of two good ends
        assert "lock" in str(error)  # noqa: PT017
    finally:
        holder.close()
    async with shop.open(url) as app:
        assert (await app.execute(order("1"))).version == 1


async def test_an_opening_that_is_given_up_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(threading.enumerate())
    begin = Projector.begin

    async def begin_slowly(self: Projector) -> None:
        await asyncio.sleep(0.3)
        await begin(self)

    monkeypatch.setattr(Projector, "begin", begin_slowly)

    async def use() -> None:
        async with shop.open(f"sqlite:///{tmp_path}/shop.db"):
            await asyncio.sleep(60)

    task = asyncio.create_task(use())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(40):
        await asyncio.sleep(0.05)
        if not left_behind(before):
            return
    assert left_behind(before) == []


def left_behind(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("diptych")]
