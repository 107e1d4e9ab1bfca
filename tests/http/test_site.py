"""The addresses beside commands and queries: the page, health, readiness, metrics, what problems mean."""

import re
from datetime import timedelta

import pytest
from httpx import AsyncClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from diptych.http import Gateway
from diptych.http.problems import TITLES
from diptych.read import Failure, Pause
from diptych.stores import store_at
from tests.app.shop import shop
from tests.http.asking import ORDERS_OF, PLACE, check_problem, order_body, placed
from tests.http.conftest import client_of, gateway_of


async def test_the_page_needs_nothing_from_elsewhere(client: AsyncClient) -> None:
    page = await client.get("/docs")
    parts = [await client.get(f"/{name}") for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert sorted(part.headers["content-type"] for part in parts) == [
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    ]
    for part in (page, *parts):
        assert part.status_code == 200
        assert not re.search(r"https?://", part.text)
        assert part.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|<style", page.text)


async def test_no_other_file_of_the_page_is_served(client: AsyncClient) -> None:
    for name in ("try.html", "site.py", "__init__.py", "..%2F__init__.py", "try.js%00"):
        check_problem(await client.get(f"/docs/{name}"), 404, "not-found")


async def test_nobody_else_s_page_may_read_what_is_answered(client: AsyncClient) -> None:
    response = await client.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Origin": "https://elsewhere.test"})

    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("kind", sorted(TITLES))
async def test_every_problem_has_a_page_of_its_own(client: AsyncClient, kind: str) -> None:
    assert (await client.get(f"/problems/{kind}")).json()["code"] == kind


async def test_the_type_of_a_problem_leads_to_its_page(client: AsyncClient) -> None:
    said = check_problem(await client.get("/shop/commands/nobody"), 404, "not-found")

    assert (await client.get(said["type"])).json()["title"] == said["title"]
    check_problem(await client.get("/problems/nothing"), 404, "not-found")


async def test_a_gateway_is_ready_when_its_views_are(client: AsyncClient) -> None:
    token = (await placed(client)).headers["diptych-token"]
    await client.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": token})
    response = await client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "reasons": [],
        "views": {
            "OrderSummary": {
                "generation": 1,
                "position": 1,
                "lag_events": 0,
                "lag_seconds": 0,
                "standing_still": False,
                "paused": False,
                "parked": 0,
                "dead_letters": 0,
                "segments_without_owner": 0,
            }
        },
    }


async def test_a_projection_that_stands_still_is_not_ready(sqlite_url: str) -> None:
    async with client_of(Gateway(shop, sqlite_url)) as client:
        token = (await placed(client)).headers["diptych-token"]
        await client.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": token})
    shape = shop.folds[0].shape
    gateway = Gateway(shop, sqlite_url, projectors=False)
    async with client_of(gateway) as client, store_at(sqlite_url).views() as views:
        await placed(client, "2")
        [generation] = await views.generations(shape)
        failure = Failure("store", 2, "the disk is full", "2026-01-31T12:00:00+00:00")
        await views.record_failure(shape, generation.checkpoints[0], failure)
        response = await client.get("/readyz")
        figures = await client.get("/metrics")

    assert response.status_code == 503
    assert response.json()["reasons"] == ["view OrderSummary stands still at position 1"]
    assert 'projection_standing_still{view="OrderSummary"} 1.0' in figures.text
    assert 'projection_lag_events{view="OrderSummary"} 1.0' in figures.text


async def test_a_view_that_is_being_filled_is_not_ready(sqlite_url: str) -> None:
    async with client_of(Gateway(shop, sqlite_url, projectors=False)) as client:
        assert (await client.get("/readyz")).json()["reasons"] == ["view OrderSummary stands still at position 0"]
        async with store_at(sqlite_url).log() as log, store_at(sqlite_url).views() as views:
            await views.prepare(shop.folds[0].shape, log.log_id)
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["reasons"] == ["view OrderSummary is being filled, and is at position 0"]
    assert response.json()["views"]["OrderSummary"]["segments_without_owner"] == 1


async def test_a_view_that_lags_too_far_is_not_ready(sqlite_url: str) -> None:
    settings = gateway_of(shop, max_lag=timedelta(0))._settings
    async with client_of(Gateway(shop, sqlite_url)) as client:
        token = (await placed(client)).headers["diptych-token"]
        await client.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": token})
    async with client_of(Gateway(shop, sqlite_url, settings=settings, projectors=False)) as client:
        assert (await client.get("/readyz")).status_code == 200
        await placed(client, "2")
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert "OrderSummary is" in response.json()["reasons"][0]
    assert response.headers["retry-after"] == "1"


async def test_a_paused_view_is_shown_and_not_ready_when_it_lags_too_far(sqlite_url: str) -> None:
    gateway = Gateway(shop, sqlite_url, settings=gateway_of(shop, max_lag=timedelta(0))._settings)
    async with client_of(gateway) as client, store_at(sqlite_url).views() as views:
        await views.pause(shop.folds[0].shape, Pause("2026-01-31T12:00:00+00:00", "moving the disk"))
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["views"]["OrderSummary"]["paused"]) == (200, True)

        token = (await placed(client)).headers["diptych-token"]
        asked = await client.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": token})
        check_problem(asked, 503, "not-caught-up")
        assert "it is paused since 2026-01-31T12:00:00+00:00: moving the disk" in asked.json()["detail"]

        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["reasons"][0].endswith("; it is paused since 2026-01-31T12:00:00+00:00")
        assert 'projection_paused{view="OrderSummary"} 1.0' in (await client.get("/metrics")).text


async def test_the_figures_are_open_metrics(client: AsyncClient) -> None:
    await placed(client)
    await client.post(PLACE, json=order_body())
    await client.get(ORDERS_OF, params={"customer_id": "c"})
    response = await client.get("/metrics")

    families = {family.name: family for family in text_string_to_metric_families(response.text)}  # type: ignore[no-untyped-call]
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert {
        "command_processing_time_seconds",
        "event_store_append_time_seconds",
        "event_store_batch_size",
        "event_store_queue_depth",
        "command_rejection_rate",
        "command_rejections",
        "projection_lag_events",
        "projection_lag_seconds",
        "query_response_time_seconds",
        "http_requests_in_flight",
    } <= set(families)
    assert values["commands_total", "PlaceOrder", "accepted"] == 1
    assert values["commands_total", "PlaceOrder", "rejected"] == 1
    assert values["command_rejections_total", "order-exists"] == 1
    assert values["command_rejection_rate",] == 0.5
    assert values["event_store_batch_size_sum",] == 1
    assert values["query_response_time_seconds_count", "OrdersOf"] == 1
