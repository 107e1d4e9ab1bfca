"""A deployment that replaces another: the view's new version is filled beside the old one, by real servers of both."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from diptych.stores import store_at
from tests.app.shop import import_orders, shop
from tests.faults.commands import serving
from tests.faults.tools import until, url_of
from tests.http.asking import PLACE, order_body

EVENTS = 6000

CODE = """
import time

from diptych import BoundedContext, Projection, Query, View, Views
from tests.app.shop import OrderPlaced, orders


class OrderSummary(View, key="order_id"):
    order_id: str
    {more}


class Seen(Query[list[str]]):
    order_id: str


async def seen(query: Seen, views: Views) -> list[str]:
    rows = await views[OrderSummary].where(order_id=query.order_id)
    return [{said} for row in rows]


summaries = Projection(OrderSummary, version={version})


@summaries.on
def placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    time.sleep({seconds})
    return OrderSummary(order_id=event.order_id)


shop = BoundedContext("shop", aggregates=[orders], projections=[summaries], queries=[seen])
"""

OLD = {"more": "", "said": '"old"', "version": 1, "seconds": 0}
ANOTHER_ROW = {"more": 'status: str = "new"', "said": "row.status", "version": 1, "seconds": 0.0004}
ANOTHER_VERSION = {"more": "", "said": '"new"', "version": 2, "seconds": 0.0004}


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


async def alone(url: str) -> bool:
    """Whether one generation is left."""
    async with store_at(url).views() as views:
        return len(await views.generations(shop.folds[0].shape)) == 1


async def placed_and_seen(client: httpx.AsyncClient, order_id: str) -> Any:
    """What a server answers of an order that was just placed there."""
    receipt = await client.post(PLACE, json=order_body(order_id))
    assert receipt.status_code == 200, receipt.text
    after = {"Diptych-After": receipt.headers["Diptych-Token"]}
    answer = await client.get("/shop/queries/Seen", params={"order_id": order_id}, headers=after)
    assert answer.status_code == 200, answer.text
    return answer.json()


@asynccontextmanager
async def deployed(url: str, folder: Path, name: str, code: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A server of some code."""
    (folder / f"{name}.py").write_text(CODE.format(**code))
    async with (
        serving(url, target=f"{name}:shop", folder=folder) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
    ):
        yield client


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new store of the kind that the test names."""
    if request.param == "sqlite":
        return url_of(tmp_path / "shop.db")
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.mark.parametrize(
    ("url", "code"),
    [("sqlite", ANOTHER_ROW), ("postgres", ANOTHER_VERSION)],
    indirect=["url"],
    ids=["another row", "another version"],
)
async def test_the_old_servers_go_on_until_the_new_ones_are_ready_and_what_they_leave_is_cleared_away(
    url: str, code: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIPTYCH_CQRS_QUERY_SIDE_LEASE", "1s")
    await import_orders(url, EVENTS)
    async with AsyncExitStack() as before:
        old = await before.enter_async_context(deployed(url, tmp_path, "old_shop", OLD))
        await until(lambda: ready(old), 30)
        async with deployed(url, tmp_path, "new_shop", code) as new:
            refused = await new.get("/readyz")
            assert refused.status_code == 503
            assert "view OrderSummary is being filled" in refused.text
            assert await placed_and_seen(old, "meanwhile") == ["old"]
            assert (await ready(old), await ready(new)) == (True, False)

            await until(lambda: ready(new), 30)
            assert await placed_and_seen(new, "at the new one") == ["new"]
            assert await placed_and_seen(old, "at the old one") == ["old"]
            await before.aclose()
            await until(lambda: alone(url), 20)
            assert await placed_and_seen(new, "afterwards") == ["new"]
