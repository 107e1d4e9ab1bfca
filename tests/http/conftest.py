"""Clients that speak with a gateway in the process: what matters of sockets is in test_server.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from diptych import BoundedContext
from diptych.http import Gateway, GatewaySettings
from tests.app.shop import shop
from tests.http.contexts import odd


@asynccontextmanager
async def client_of(gateway: Gateway) -> AsyncIterator[AsyncClient]:
    async with gateway.lifespan(), AsyncClient(transport=ASGITransport(gateway), base_url="http://test") as client:
        yield client


def gateway_of(context: BoundedContext, url: str = "memory://", **bounds: Any) -> Gateway:
    return Gateway(context, url, settings=GatewaySettings(**bounds))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture
async def client(sqlite_url: str) -> AsyncIterator[AsyncClient]:
    async with client_of(Gateway(shop, sqlite_url)) as client:
        yield client


@pytest.fixture
async def odd_client() -> AsyncIterator[AsyncClient]:
    async with client_of(Gateway(odd, "memory://")) as client:
        yield client
