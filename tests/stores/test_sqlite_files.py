"""The log's file: of an older format, in a read-only place, deleted or replaced while it is open."""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from diptych import NotAStore, Unavailable
from diptych.stores.sqlite import SqliteStore
from tests.app.shop import OrderCount, order, shop
from tests.app.stepping import in_step
from tests.faults.tools import new_append
from tests.privileges import in_a_folder_that_is_read_only, writable_again

FORMAT_1 = """
CREATE TABLE log (log_id TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO log VALUES ('0123456789abcdef');
"""


FORMAT_2 = """
CREATE TABLE log (log_id TEXT NOT NULL PRIMARY KEY, context TEXT) STRICT, WITHOUT ROWID;
INSERT INTO log (log_id) VALUES ('0123456789abcdef');
"""


def older(path: Path, format: int = 1) -> None:
    """A file of format 1, which knew no context, or 2, which had no room for views, with an event in it."""
    newest = files("diptych.stores.sqlite").joinpath("schema.sql").read_text("utf-8")
    tables = newest[newest.index("-- purpose: all events") :]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((FORMAT_1 if format == 1 else FORMAT_2) + tables)
        connection.execute(
            "INSERT INTO event VALUES (1, 'order-0', 1, 'OrderPlaced', 1, ?, 5, x'', ?, ?)",
            (b"0123456789abcdef", b'{"order_id":"0","customer_id":"c","total":"15.00"}', b'{"command_id":"x"}'),
        )
        connection.execute("INSERT INTO event_kind VALUES ('OrderPlaced', 1, 1)")
        connection.execute("PRAGMA application_id = 0x4450544C")
        connection.execute(f"PRAGMA user_version = {format}")


def schema_of(path: Path) -> list[tuple[str, str, int]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return sorted(
            (table, name, number)
            for table in tables
            for number, name, *_ in connection.execute(f"PRAGMA table_info({table})")
        )


@pytest.mark.parametrize("format", [1, 2])
async def test_a_log_of_a_format_before_is_brought_to_this_one_and_adopted(tmp_path: Path, format: int) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    older(old, format)
    async with SqliteStore(old).log(context="shop") as log:
        assert log.log_id == "0123456789abcdef"
        await log.append(new_append("order-1"))
    with pytest.raises(NotAStore, match="'shop', and not of 'library'"):
        async with SqliteStore(old).log(context="library"):
            pass
    async with SqliteStore(new).log():
        pass
    assert schema_of(old) == schema_of(new)


@pytest.mark.parametrize("format", [1, 2])
async def test_a_log_of_a_format_before_keeps_its_events_and_keeps_views_in_step_from_then_on(
    tmp_path: Path, format: int
) -> None:
    older(tmp_path / "shop.db", format)
    async with in_step.open(f"sqlite:///{tmp_path / 'shop.db'}") as app:
        assert await app.ask(OrderCount(), after=await app.token()) == 1
        receipt = await app.execute(order("1"))
        assert receipt.token.position == 2
        assert await app.ask(OrderCount(), after=receipt.token) == 2


# A read-only place


async def filled(path: Path) -> None:
    async with shop.open(f"sqlite:///{path}") as app:
        await app.execute(order("1"))
        await app.caught_up((await app.execute(order("2"))).token)


async def refusal_of(path: Path) -> str:
    with pytest.raises(Unavailable) as caught:
        async with SqliteStore(path).log():
            pass
    return str(caught.value)


async def test_a_store_on_a_read_only_disk_is_read_and_takes_nothing(tmp_path: Path) -> None:
    await filled(tmp_path / "shop.db")
    with in_a_folder_that_is_read_only(tmp_path) as folder:
        async with shop.open(f"sqlite:///{folder}/shop.db", projectors=False) as app:
            assert await app.ask(OrderCount(), after=await app.token()) == 2
            assert [event.stream async for event in app.events()] == ["order-1", "order-2"]
            with pytest.raises(Unavailable, match="cannot be written; check the permissions"):
                await app.execute(order("3"))
        with pytest.raises(Unavailable, match="cannot be written"):
            async with shop.open(f"sqlite:///{folder}/shop.db"):
                pass


async def test_newest_events_beside_a_file_on_a_read_only_disk_are_not_passed_over(tmp_path: Path) -> None:
    await filled(tmp_path / "shop.db")
    (tmp_path / "shop.db-wal").write_bytes(b"events")
    with in_a_folder_that_is_read_only(tmp_path) as folder:
        words = await refusal_of(folder / "shop.db")
    assert "shop.db-wal, and SQLite reads that only where it may write" in words


async def test_an_older_format_on_a_read_only_disk_says_where_it_is_renewed(tmp_path: Path) -> None:
    older(tmp_path / "shop.db")
    with in_a_folder_that_is_read_only(tmp_path) as folder:
        words = await refusal_of(folder / "shop.db")
    assert "has format 1, and gets format 3 where it can be written" in words


async def test_a_log_without_an_owner_on_a_read_only_disk_is_read_by_any_context(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "shop.db").log() as log:
        await log.append(new_append("order-1"))
    with in_a_folder_that_is_read_only(tmp_path) as folder:
        for name in ("shop", "library"):
            async with SqliteStore(folder / "shop.db").log(context=name) as log:
                assert (await log.head()).position == 1


async def test_a_file_that_is_read_as_one_that_stays_and_is_written_all_the_same_says_so(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "shop.db").log() as log:
        await log.append(new_append("order-1"))
    with in_a_folder_that_is_read_only(tmp_path) as folder:
        async with SqliteStore(folder / "shop.db").log() as reading:
            assert (await reading.head()).position == 1
            with writable_again(folder):
                async with SqliteStore(folder / "shop.db").log() as other:
                    await other.append(new_append("order-1"))
                    with pytest.raises(Unavailable, match="is being written by others by now; open the store again"):
                        await reading.head()


# While it is open


async def test_appends_to_a_file_that_was_deleted_are_refused(tmp_path: Path) -> None:
    path, away = tmp_path / "shop.db", tmp_path / "away.db"
    async with SqliteStore(path).log() as log:
        await log.append(new_append("order-1"))
        path.rename(away)
        for action in (log.append(new_append("order-1")), log.head()):
            with pytest.raises(Unavailable, match="was deleted or moved while it was open; put it back, or open"):
                await action
        away.rename(path)
        assert (await log.append(new_append("order-1"))).position == 2


async def test_appends_to_a_file_that_was_replaced_are_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "shop.db", tmp_path / "other.db"
    async with SqliteStore(other).log():
        pass
    async with SqliteStore(path).log() as log:
        await log.append(new_append("order-1"))
        other.replace(path)
        for action in (log.append(new_append("order-1")), log.head()):
            with pytest.raises(NotAStore, match="was replaced by another file while it was open"):
                await action
