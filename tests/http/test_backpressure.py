"""More commands than may wait for a log that is held up are told to come again, and nothing piles up."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest
from httpx import AsyncClient, Response

from diptych.app import App
from diptych.http import Gateway
from diptych.log import lane
from tests.app.shop import shop
from tests.faults.postgres_tools import append_in, session
from tests.faults.tools import new_append, until
from tests.http.asking import PLACE, check_problem, order_body, placed
from tests.http.conftest import client_of

Held = AbstractAsyncContextManager[None]

MOST = 5


@asynccontextmanager
async def sqlite_held(path: Path) -> AsyncIterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def postgres_held(url: str) -> AsyncIterator[None]:
    async with session(url) as other:
        transaction = other.transaction()
        await transaction.start()
        await append_in(other, url, new_append("other-1"))
        yield
        await transaction.rollback()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Held]:
    """A store's URL, and what keeps everybody else from writing there for as long as it lasts."""
    if request.param == "sqlite":
        path = tmp_path / "shop.db"
        return f"sqlite:///{path}", sqlite_held(path)
    url: str = request.getfixturevalue("postgres_url")
    return url, postgres_held(url)


async def test_what_is_too_much_gets_503_with_retry_after_and_what_waits_is_kept(
    store: tuple[str, Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "WAITING_APPENDS", MOST)
    url, held = store
    gateway = Gateway(shop, url, projectors=False)
    async with client_of(gateway) as client:
        await placed(client, "first")
        async with held:
            in_flight = [asyncio.create_task(place(client, number)) for number in range(MOST)]
            await asyncio.sleep(0.1)
            asked = [asyncio.create_task(place(client, number)) for number in range(MOST, 20)]

            async def refused() -> bool:
                return sum(task.done() for task in asked) == len(asked) - MOST

            await until(refused)
            for task in asked:
                if task.done():
                    check_problem(task.result(), 503, "unavailable")
            waiting = [task for task in asked if not task.done()]
        kept = await asyncio.gather(*in_flight, *waiting)
        assert [response.status_code for response in kept] == [200] * 2 * MOST
        assert isinstance(gateway.app, App)
        assert (await gateway.app.log.head()).position == 1 + len(kept)
        await placed(client, "last")


async def place(client: AsyncClient, number: int) -> Response:
    return await client.post(PLACE, json=order_body(f"{number}"), timeout=20)
