"""Commands over HTTP: the receipt, the key, the version, what travels along, and the status afterwards."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from diptych import App, Recorded, UnreadableEvent
from diptych.http import Gateway
from tests.app.shop import shop
from tests.app.stepping import in_step
from tests.http.asking import ORDERS_OF, PLACE, SHIP, check_problem, order_body, placed
from tests.http.conftest import client_of, gateway_of
from tests.http.contexts import odd


async def test_a_receipt_says_where_the_events_stand(client: AsyncClient) -> None:
    response = await placed(client, Idempotency_Key="first")

    said = response.json()
    assert said == {
        "command_id": "first",
        "token": response.headers["diptych-token"],
        "stream": "order-1",
        "version": 1,
        "events": ["OrderPlaced"],
    }
    assert response.headers["etag"] == '"1"'
    assert response.headers["location"] == "/shop/commands/first"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_command_without_a_key_gets_an_id(client: AsyncClient) -> None:
    response = await placed(client)

    status = await client.get(response.headers["location"])
    assert status.json()["command_id"] == response.json()["command_id"]


async def test_the_same_key_with_the_same_body_gets_the_first_receipt(client: AsyncClient) -> None:
    first = await placed(client, Idempotency_Key="k")
    spaced = b'{ "customer_id": "c", "order_id": "1", "lines": [{"price": 15.00, "sku": "mug", "quantity": 1}] }'
    again = await client.post(
        PLACE, content=spaced, headers={"Idempotency-Key": '"k"', "Content-Type": "application/json; charset=UTF-8"}
    )

    assert (again.status_code, again.json()) == (200, first.json())


async def test_the_same_key_with_another_body_is_refused(client: AsyncClient) -> None:
    await placed(client, Idempotency_Key="k")
    response = await client.post(PLACE, json=order_body("2"), headers={"Idempotency-Key": "k"})

    assert check_problem(response, 422, "command-id-reused")["command_id"] == "k"


async def test_the_same_key_in_flight_is_a_conflict() -> None:
    gateway = gateway_of(shop)
    async with client_of(gateway) as client:
        both = [client.post(PLACE, json=order_body(), headers={"Idempotency-Key": "k"}) for _ in range(2)]
        responses = await asyncio.gather(*both)

        assert sorted(response.status_code for response in responses) == [200, 409]
        check_problem(max(responses, key=lambda response: response.status_code), 409, "command-in-flight")


@pytest.mark.parametrize(
    ("key", "meant"),
    [('"a b"', "a b"), (r'"a\"b\\c"', r'a"b\c'), ("a/b?c", "a/b?c"), ("x" * 200, "x" * 200), ("  spaced  ", "spaced")],
)
async def test_a_key_is_bare_or_a_quoted_string(client: AsyncClient, key: str, meant: str) -> None:
    response = await placed(client, Idempotency_Key=key)

    assert response.json()["command_id"] == meant
    status = await client.get(response.headers["location"])
    assert status.json()["command_id"] == meant


@pytest.mark.parametrize("key", ["", '""', '"', '"a', 'a"b', "a,b", "a b", '"a";x=1', "x" * 201, "é", "\x7f"])
async def test_a_key_that_is_neither_is_refused(client: AsyncClient, key: str) -> None:
    headers = [(b"idempotency-key", key.encode())]
    response = await client.post(PLACE, json=order_body(), headers=headers)

    assert check_problem(response, 400, "malformed")["header"] == "Idempotency-Key"


async def test_a_rejection_has_the_code_of_its_rule(client: AsyncClient) -> None:
    response = await client.post(PLACE, json=order_body(price="1"), headers={"Idempotency-Key": "k"})

    said = check_problem(response, 422, "minimum-order")
    assert said["type"] == "/problems/rejected"
    assert said["detail"] == "An order must be worth at least 10.00."
    assert (await client.get("/shop/commands/k")).json() == {
        "command_id": "k",
        "state": "rejected",
        "rejection": {"code": "minimum-order", "detail": "An order must be worth at least 10.00."},
    }


async def test_a_refused_key_may_be_used_again(client: AsyncClient) -> None:
    await client.post(PLACE, json=order_body(price="1"), headers={"Idempotency-Key": "k"})
    await placed(client, Idempotency_Key="k")

    assert (await client.get("/shop/commands/k")).json()["state"] in ("published", "projected")


async def test_if_match_is_the_version_of_the_stream(client: AsyncClient) -> None:
    etag = (await placed(client)).headers["etag"]
    shipped = await client.post(SHIP, json={"order_id": "1"}, headers={"If-Match": etag})
    late = await client.post(SHIP, json={"order_id": "1"}, headers={"If-Match": etag})

    assert shipped.headers["etag"] == '"2"'
    said = check_problem(late, 412, "precondition-failed")
    assert (said["expected"], said["found"]) == (1, 2)


@pytest.mark.parametrize("value", ["3", "*", 'W/"3"', '"3", "4"', '"x"', '"-1"', '""', '"' + "9" * 19 + '"'])
async def test_if_match_of_another_form_is_refused(client: AsyncClient, value: str) -> None:
    response = await client.post(PLACE, json=order_body(), headers={"If-Match": value})

    assert check_problem(response, 400, "malformed")["header"] == "If-Match"


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def recorded(app: App | None) -> Recorded[Any]:
    assert app is not None
    return [event async for event in app.events()][-1]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACE, TRACE),
        ("cc" + TRACE[2:] + "-more", "cc" + TRACE[2:] + "-more"),
        (TRACE + "-more", None),
        ("ff" + TRACE[2:], None),
        (TRACE.upper(), None),
        (TRACE[:3] + "0" * 32 + TRACE[35:], None),
        (TRACE[:36] + "0" * 16 + TRACE[52:], None),
        ("nonsense", None),
    ],
)
async def test_a_trace_context_goes_into_the_events_if_it_is_one(given: str, kept: str | None) -> None:
    gateway = Gateway(shop, "memory://")
    async with client_of(gateway) as client:
        await placed(client, traceparent=given, X_Correlation_ID="basket-7", Idempotency_Key="k")
        metadata = (await recorded(gateway.app)).metadata

    assert (metadata.traceparent, metadata.correlation_id, metadata.command_id) == (kept, "basket-7", "k")


@pytest.mark.parametrize("value", ["", "a b", "x" * 201, "\x01"])
async def test_a_correlation_id_is_visible_text(client: AsyncClient, value: str) -> None:
    response = await client.post(PLACE, json=order_body(), headers={"X-Correlation-ID": value})

    assert check_problem(response, 400, "malformed")["header"] == "X-Correlation-ID"


async def test_a_status_tells_which_views_have_the_command(client: AsyncClient) -> None:
    response = await placed(client)
    await client.get(
        ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": response.headers["diptych-token"]}
    )
    status = await client.get(response.headers["location"])

    assert status.json() == response.json() | {"state": "projected", "views": {"OrderSummary": True}}


async def test_a_command_that_no_view_has_yet_is_published() -> None:
    gateway = Gateway(odd, "memory://")
    body = {"thing_id": "01890a5d-ac96-774b-bcce-b302099a8057", "at": "2026-01-01T00:00:00Z"}
    async with client_of(gateway) as client:
        command = body | {"part": {"name": "poison", "weight": "1"}}
        response = await client.post("/odd ones/commands/note ü", json=command)
        status = await client.get(response.headers["location"])

    assert status.json()["state"] == "published"
    assert status.json()["views"]["ThingView"] is False


async def test_an_unknown_command_id_is_not_found(client: AsyncClient) -> None:
    check_problem(await client.get("/shop/commands/nobody"), 404, "not-found")
    check_problem(await client.get("/shop/commands/"), 404, "not-found")


async def test_what_a_decide_raises_stays_in_the_log(odd_client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    body = {"thing_id": "01890a5d-ac96-774b-bcce-b302099a8057", "secret": "secret-of-body"}
    response = await odd_client.post("/odd ones/commands/Explode", json=body, headers={"Idempotency-Key": "k"})

    said = check_problem(response, 500, "internal-error")
    assert "secret-of-body" not in response.text
    assert said["command_id"] == "k"
    assert caplog.records[-1].exc_info
    check_problem(await odd_client.get("/odd ones/commands/k"), 404, "not-found")


async def test_an_event_that_cannot_be_read_is_named_by_its_position_only(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        raise UnreadableEvent(7, "order-1", "OrderPlaced", "the secret is 42")

    monkeypatch.setattr(App, "receive", unreadable)
    said = check_problem(await client.post(PLACE, json=order_body()), 500, "unreadable-event")

    assert "7" in said["detail"]
    assert "secret" not in said["detail"]


async def test_what_a_view_in_step_cannot_take_is_told_by_its_name_only() -> None:
    async with client_of(gateway_of(in_step)) as client:
        body = order_body(price="5000000.00")
        response = await client.post(PLACE, json=body, headers={"Idempotency-Key": "k"})
        said = check_problem(response, 500, "projection-failed")
        assert (said["view"], said["command_id"]) == ("OrderSummary", "k")
        assert "afford" not in response.text
        check_problem(await client.get("/shop/commands/k"), 404, "not-found")
        assert (await client.post(PLACE, json=order_body(), headers={"Idempotency-Key": "k"})).status_code == 200
        assert (await client.get("/problems/projection-failed")).status_code == 200


async def test_a_command_that_takes_too_long_has_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(App, "receive", slow)
    async with client_of(gateway_of(shop, command_timeout=timedelta(milliseconds=20))) as client:
        response = await client.post(PLACE, json=order_body(), headers={"Idempotency-Key": "k"})

    assert check_problem(response, 503, "outcome-unknown")["command_id"] == "k"
