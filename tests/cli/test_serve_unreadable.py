"""An event that cannot be decoded stops what needs it in a server, and never the server."""

import asyncio
from pathlib import Path

import pytest

from diptych.log import NewEvent
from diptych.stores import store_at
from tests.cli.conftest import SHOP
from tests.cli.servers import Server, served, until
from tests.faults.tools import new_append
from tests.http.asking import PLACE, SHIP, order_body


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"sqlite:///{folder}/shop.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def place(server: Server, order_id: str) -> int:
    return server.client.post(PLACE, json=order_body(order_id)).status_code


def test_a_server_goes_on_with_an_event_that_nobody_can_decode(folder: Path, url: str) -> None:
    async def disturb() -> None:
        async with store_at(url).log() as log:
            bad = NewEvent("OrderPlaced", 1, b"2" * 16, (), b"\xff{")
            await log.append(new_append("order-2")._replace(events=[bad]))

    with served(folder, SHOP, "--store", url) as server:
        assert place(server, "1") == 200
        asyncio.run(disturb())

        answer = server.client.post(SHIP, json={"order_id": "2"})
        assert (answer.status_code, answer.json()["code"]) == (500, "unreadable-event")
        assert "position 2" in answer.json()["detail"]
        for order_id in ("3", "4"):
            assert place(server, order_id) == 200

        def parked() -> bool:
            return "cannot apply event 2, OrderPlaced" in server.errors()

        until(parked)
        until(lambda: server.client.get("/shop/queries/OrderCount").json() == 3)
        assert server.client.get("/healthz").status_code == 200
        assert server.process.poll() is None
