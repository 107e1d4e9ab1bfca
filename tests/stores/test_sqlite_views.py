"""What the views' file is to others than Diptych: the SQL view of a view's name, its indexes, and what drops leave."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from diptych import View
from diptych.read import Checkpoint, Generation, Superseded, ViewShape, ViewStore
from diptych.stores.sqlite import SqliteStore, dropped
from tests.views import LOG, at


class Place(View, key=("town", "number"), index=("number",)):
    town: str
    number: int


PLACE, NEXT_PLACE = ViewShape(Place), ViewShape(Place, 2)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "log.db")


@pytest_asyncio.fixture
async def views(store: SqliteStore) -> AsyncGenerator[ViewStore]:
    async with store.views() as views:
        yield views


def ask(store: SqliteStore, statement: str) -> list[Any]:
    with closing(sqlite3.connect(store.views_path)) as connection:
        return connection.execute(statement).fetchall()


def tables(store: SqliteStore) -> list[str]:
    """The tables of generations, and of those that were dropped."""
    found = ask(store, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '*_[0-9]*' ORDER BY name")
    return [name for (name,) in found]


async def write(views: ViewStore, generation: Generation, rows: int, town: str, upto: int = 1) -> Checkpoint:
    changes = {(town, number): Place(town=town, number=number) for number in range(rows)}
    return await views.commit(PLACE, changes, generation.checkpoints[0], at(upto))


async def until_removed(store: SqliteStore) -> None:
    deadline = time.monotonic() + 20
    while any(name.startswith("dropped") for name in tables(store)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


# The SQL view


async def test_the_sql_view_shows_what_went_live_last_and_what_is_left_when_that_is_dropped(
    store: SqliteStore, views: ViewStore
) -> None:
    shown = "SELECT DISTINCT town FROM Place"
    old, new = await views.prepare(PLACE, LOG), await views.prepare(NEXT_PLACE, LOG)
    with pytest.raises(sqlite3.OperationalError, match="no such table: Place"):
        ask(store, shown)
    await write(views, old, 1, "Old")
    await write(views, new, 1, "New")
    await views.switch(PLACE, old.number)
    assert ask(store, shown) == [("Old",)]
    await views.switch(NEXT_PLACE, new.number)
    assert ask(store, shown) == [("New",)]

    assert await views.drop(PLACE, new.number)
    assert ask(store, shown) == [("Old",)]
    assert await views.drop(NEXT_PLACE, old.number)
    with pytest.raises(sqlite3.OperationalError, match="no such table: Place"):
        ask(store, shown)

    again = await views.prepare(PLACE, LOG)
    await write(views, again, 1, "Again")
    await views.switch(PLACE, again.number)
    assert ask(store, shown) == [("Again",)]


# Indexes


async def test_the_indexes_are_made_when_a_generation_is_filled(store: SqliteStore, views: ViewStore) -> None:
    indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB 'diptych_Place_*' ORDER BY name"
    first = await views.prepare(PLACE, LOG)
    assert ask(store, indexes) == []
    await views.complete(PLACE, first.number)
    assert ask(store, indexes) == [("diptych_Place_1_number",)]
    second = await views.begin(PLACE, LOG, anew=True)
    await views.switch(PLACE, second.number)
    assert ("diptych_Place_2_number",) in ask(store, indexes), "whoever forgets to complete it"


# What is dropped


async def test_the_rows_of_a_dropped_generation_are_removed_a_few_at_a_time(
    store: SqliteStore, views: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropped, "ROWS", 10)
    old = await views.prepare(PLACE, LOG)
    await views.switch(PLACE, old.number)
    await write(views, old, 995, "Old")
    new = await views.begin(PLACE, LOG)
    await write(views, new, 3, "New")
    await views.switch(PLACE, new.number)
    assert tables(store) == ["diptych_Place_2", "dropped_diptych_Place_1"]
    with pytest.raises(Superseded):
        await views.load(PLACE, [("Old", 1)], old.checkpoints[0])
    counts: list[int] = []
    while tables(store) != ["diptych_Place_2"]:
        await asyncio.sleep(0.001)
        try:
            ((count,),) = ask(store, "SELECT count(*) FROM dropped_diptych_Place_1")
        except sqlite3.OperationalError:
            break
        counts.append(count)
    assert len(set(counts)) > 3, "it is not removed at one go"
    assert counts == sorted(counts, reverse=True)
    assert ask(store, "SELECT count(*) FROM Place") == [(3,)]


async def test_what_is_left_of_it_is_removed_when_the_views_are_prepared_next(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropped, "ROWS", 10)
    async with store.views() as views:
        old = await views.prepare(PLACE, LOG)
        await write(views, old, 500, "Old")
        await views.begin(PLACE, LOG, anew=True)
        await asyncio.sleep(0)
    assert tables(store) == ["diptych_Place_2", "dropped_diptych_Place_1"]
    async with store.views() as views:
        await asyncio.sleep(0.05)
        assert "dropped_diptych_Place_1" in tables(store), "whoever only reads removes nothing"
        await views.prepare(PLACE, LOG)
        await until_removed(store)
    assert tables(store) == ["diptych_Place_2"]


async def test_several_may_remove_at_once(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "ROWS", 5)
    async with store.views() as one, SqliteStore(store.path).views() as other:
        for number in range(6):
            generation = await (one if number % 2 else other).begin(PLACE, LOG, anew=True)
            await write(one, generation, 100, "Town")
        await until_removed(store)
    assert tables(store) == ["diptych_Place_6"]


async def test_a_file_that_is_gone_ends_the_removal_and_nothing_else(
    store: SqliteStore, views: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: sqlite3.Connection) -> bool:
        raise sqlite3.OperationalError("disk I/O error")

    await write(views, await views.prepare(PLACE, LOG), 10, "Old")
    with monkeypatch.context() as broken:
        broken.setattr(dropped, "remove_some", refuse)
        new = await views.begin(PLACE, LOG, anew=True)
        await asyncio.sleep(0.01)
    await write(views, new, 10, "New")
    assert "dropped_diptych_Place_1" in tables(store)
    await views.prepare(PLACE, LOG)
    await until_removed(store)
