"""The gateway inside another app: in FastAPI, in Starlette, and where it would be by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.routing import Mount

from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.asking import check_problem, order_body


def in_fastapi() -> FastAPI:
    gateway = Gateway(shop, "memory://")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with gateway.lifespan(app):
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    app.mount("/api/v 1", gateway)
    return app


def in_starlette() -> Starlette:
    gateway = Gateway(shop, "memory://")
    return Starlette(routes=[Mount("/api/v 1", gateway)], lifespan=gateway.lifespan)


@pytest.mark.parametrize("app", [in_fastapi(), in_starlette()], ids=["FastAPI", "Starlette"])
async def test_a_mounted_gateway_works_below_its_path(app: FastAPI | Starlette) -> None:
    transport = ASGITransport(app)
    async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://test") as client:
        receipt = await client.post("/api/v 1/shop/commands/PlaceOrder", json=order_body())
        status = await client.get(receipt.headers["location"])
        asked = {"customer_id": "c"}
        after = {"Diptych-After": receipt.headers["diptych-token"]}
        rows = await client.get("/api/v 1/shop/queries/OrdersOf", params=asked, headers=after)
        missing = check_problem(await client.get("/api/v 1/shop/queries/Orders"), 404, "not-found")
        described = (await client.get("/api/v 1/openapi.json")).json()
        page = await client.get("/api/v 1/docs")
        script = await client.get("/api/v 1/docs/try.js")

        assert receipt.headers["location"].startswith("/api/v%201/shop/commands/")
        assert status.json()["command_id"] == receipt.json()["command_id"]
        assert [row["order_id"] for row in rows.json()] == ["1"]
        assert missing["type"] == "/api/v%201/problems/not-found"
        assert (await client.get(missing["type"])).status_code == 200
        assert described["servers"] == [{"url": "/api/v%201"}]
        assert (page.status_code, script.status_code) == (200, 200)
        assert (await client.get("/api/v 1/readyz")).status_code == 200


async def test_the_host_s_own_addresses_stay_its_own() -> None:
    app = in_fastapi()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/hello")).json() == "hello"


async def test_a_gateway_may_be_opened_again() -> None:
    gateway = Gateway(shop, "memory://")
    for _ in range(2):
        async with gateway.lifespan():
            assert gateway.app is not None
        assert gateway.app is None
