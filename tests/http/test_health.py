"""Readiness tells of a store that went away under a server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.asking import PLACE, check_problem, order_body, placed
from tests.http.conftest import client_of


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with client_of(Gateway(shop, f"sqlite:///{tmp_path}/shop.db", projectors=False)) as client:
        yield client


async def test_a_log_that_is_deleted_under_a_server_makes_it_unready_and_takes_no_more_commands(
    client: AsyncClient, tmp_path: Path
) -> None:
    await placed(client)
    path, away = tmp_path / "shop.db", tmp_path / "away.db"
    path.rename(away)
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == ["the store cannot be read: unavailable"]
    check_problem(await client.post(PLACE, json=order_body("2")), 503, "unavailable")

    away.rename(path)
    await placed(client, "2")
