"""Bad input of every kind: each is a problem with a status of its own, and none is a 5xx."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from httpx import ASGITransport, AsyncClient

from diptych import App, Unavailable
from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.asking import ORDERS_OF, PLACE, SHIP, check_problem, order_body, placed
from tests.http.conftest import client_of, gateway_of

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"order_id": "\xff"}',
        b'{"order_id": "\\ud800", "customer_id": "c", "lines": []}',
        b'{"order_id": "1", "order_id": "2", "customer_id": "c", "lines": [}',
        b"[" * 100_000,
        b'{"order_id":' * 10_000,
        b"NaN",
    ],
)
@pytest.mark.parametrize("address", [PLACE, ORDERS_OF])
async def test_a_body_that_is_not_the_message_is_refused(client: AsyncClient, address: str, body: bytes) -> None:
    said = check_problem(await client.post(address, content=body, headers=JSON), 400, "malformed")

    assert said["path"] in ("$", "$.order_id")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"lines": [{"sku": "a", "quantity": 0, "price": "1"}]}, "$.lines[0].quantity"),
        ({"lines": [{"sku": "a", "quantity": 1, "price": "NaN"}]}, "$.lines[0].price"),
        ({"lines": [{"sku": "a", "quantity": 1, "price": "1e99"}]}, "$.lines[0].price"),
        ({"lines": [{"sku": "a", "quantity": 1.5, "price": "1"}]}, "$.lines[0].quantity"),
        ({"lines": {}}, "$.lines"),
        ({"order_id": 5}, "$.order_id"),
        ({"order_id": ""}, "$.order_id"),
        ({"order_id": "a\0b"}, "$.order_id"),
        ({"order_id": "x" * 201}, "$.order_id"),
        ({"surprise": 1}, "$"),
    ],
)
async def test_a_field_that_is_wrong_is_named_by_its_path(
    client: AsyncClient, change: dict[str, object], path: str
) -> None:
    response = await client.post(PLACE, json=order_body() | change)

    assert check_problem(response, 400, "malformed")["path"] == path


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "json",
    ],
)
@pytest.mark.parametrize("address", [PLACE, ORDERS_OF])
async def test_a_body_that_does_not_say_it_is_json_is_refused(
    client: AsyncClient, address: str, kind: str | None
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    response = await client.post(address, content=b"{}", headers=headers)

    check_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "kind", ["application/json", "APPLICATION/JSON", 'application/json;charset="UTF-8"', "application/vnd.shop+json"]
)
async def test_json_by_any_of_its_names_is_read(client: AsyncClient, kind: str) -> None:
    response = await client.post(ORDERS_OF, content=b'{"customer_id": "c"}', headers={"Content-Type": kind})

    assert response.status_code == 200


async def test_a_compressed_body_is_refused(client: AsyncClient) -> None:
    response = await client.post(PLACE, content=b"{}", headers=JSON | {"Content-Encoding": "gzip"})

    check_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("method", "address", "allow"),
    [
        ("GET", PLACE, "POST"),
        ("PUT", PLACE, "POST"),
        ("DELETE", PLACE, "POST"),
        ("OPTIONS", PLACE, "POST"),
        ("PUT", "/shop/commands/some-id", "GET, HEAD"),
        ("DELETE", ORDERS_OF, "GET, HEAD, POST"),
        ("BREW", ORDERS_OF, "GET, HEAD, POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/openapi.json", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: AsyncClient, method: str, address: str, allow: str
) -> None:
    response = await client.request(method, address)

    check_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == allow


@pytest.mark.parametrize(
    ("method", "address", "nearest"),
    [
        ("POST", "/shop/commands/PlaceOrdr", "'PlaceOrder'"),
        ("POST", "/shop/commands/placeorder/", "'PlaceOrder'"),
        ("POST", "/shop/commands/", "PlaceOrder, ShipOrder"),
        ("GET", "/shop/queries/Orders", "'OrdersOf'"),
        ("POST", "/shop/queries/%4Frders", "'OrdersOf'"),
        ("GET", "/shop/queries/OrdersOf/live", "'OrdersOf'"),
        ("GET", "/shpo/queries/OrdersOf", "'shop'"),
        ("POST", "/Shop/commands/PlaceOrder", "'shop'"),
        ("GET", "/shop", "/openapi.json"),
        ("GET", "/", "/openapi.json"),
        ("GET", "//shop/queries/OrdersOf", ""),
        ("GET", "/docs/../../secret", ""),
        ("GET", "/docs/%2e%2e/site.py", ""),
        ("GET", "/docs/site.py", ""),
        ("GET", "/%00", ""),
        ("GET", "/%FF%FE", ""),
        ("GET", "/shop/queries/%E2%80%AE%3Cscript%3E", ""),
    ],
)
async def test_an_unknown_name_is_told_its_nearest(
    client: AsyncClient, method: str, address: str, nearest: str
) -> None:
    said = check_problem(await client.request(method, address), 404, "not-found")

    assert nearest in said["detail"]


async def test_a_name_may_be_percent_encoded(client: AsyncClient) -> None:
    response = await client.get("/sh%6Fp/queries/Orders%4Ff?%63ustomer_id=%63")

    assert (response.status_code, response.json()) == (200, [])


async def test_a_unicode_name_is_found(odd_client: AsyncClient) -> None:
    body = {
        "thing_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "at": "2026-01-01T00:00:00Z",
        "part": {"name": "ü", "weight": "1"},
    }
    response = await odd_client.post("/odd%20ones/commands/note%20%C3%BC", json=body)

    assert response.status_code == 200
    assert response.headers["location"].startswith("/odd%20ones/commands/")


@pytest.mark.parametrize("name", ["Idempotency-Key", "If-Match", "X-Correlation-ID", "Content-Type"])
async def test_a_header_that_must_be_one_is_refused_when_it_is_there_twice(client: AsyncClient, name: str) -> None:
    headers = [("Content-Type", "application/json"), (name, "application/json"), (name, '"1"')]
    response = await client.post(SHIP, content=b'{"order_id": "1"}', headers=headers)

    check_problem(response, 400, "malformed")


async def test_what_came_in_never_goes_out_as_markup(odd_client: AsyncClient) -> None:
    body = {
        "thing_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "at": "2026-01-01T00:00:00Z",
        "part": {"name": "forbidden", "weight": "1"},
    }
    response = await odd_client.post("/odd ones/commands/note ü", json=body)

    said = check_problem(response, 422, "no-such-part")
    assert said["detail"] == "<script>alert(1)</script>"  # JSON, and nosniff keeps it so


@pytest.fixture
async def bounded() -> AsyncIterator[AsyncClient]:
    gateway = gateway_of(
        shop, max_body=1000, max_header=500, max_concurrency=2, body_timeout=timedelta(milliseconds=100)
    )
    async with client_of(gateway) as client:
        yield client


async def test_a_body_over_the_limit_is_refused_by_its_length(bounded: AsyncClient) -> None:
    response = await bounded.post(PLACE, content=b"x" * 1001, headers=JSON)

    check_problem(response, 413, "too-large")
    assert response.headers["connection"] == "close"


async def test_a_body_that_hides_its_length_is_refused_when_it_passes_the_limit(bounded: AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100

    check_problem(await bounded.post(PLACE, content=endless(), headers=JSON), 413, "too-large")


async def test_a_body_of_the_whole_limit_is_read(bounded: AsyncClient) -> None:
    body = b'{"customer_id": "c"}'.ljust(1000)
    response = await bounded.post(ORDERS_OF, content=body, headers=JSON)

    assert response.status_code == 200


async def test_headers_and_addresses_have_a_bound(bounded: AsyncClient) -> None:
    check_problem(await bounded.get(ORDERS_OF, headers={"X-Long": "x" * 500}), 431, "headers-too-large")
    check_problem(await bounded.get(f"{ORDERS_OF}?customer_id={'x' * 500}"), 414, "address-too-long")


async def test_a_gateway_that_is_not_open_says_so() -> None:
    gateway = Gateway(shop, "memory://")
    async with AsyncClient(transport=ASGITransport(gateway), base_url="http://test") as client:
        check_problem(await client.get(ORDERS_OF, params={"customer_id": "c"}), 503, "not-open")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json()["reasons"] == ["the gateway is starting or stopping"]
        assert (await client.get("/metrics")).status_code == 200


async def test_a_store_that_fails_is_unavailable_and_its_file_stays_unnamed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise Unavailable("/var/lib/shop.db: the disk is full")

    async with client_of(Gateway(shop, sqlite_url)) as client:
        await placed(client)
        monkeypatch.setattr(App, "receive", gone)
        monkeypatch.setattr(App, "answer", gone)
        monkeypatch.setattr(App, "standings", gone)
        for response in (
            await client.post(PLACE, json=order_body()),
            await client.get(ORDERS_OF, params={"customer_id": "c"}),
        ):
            check_problem(response, 503, "unavailable")
            assert "shop.db" not in response.text
            assert caplog.messages[-1].endswith(": /var/lib/shop.db: the disk is full"), "the log has the rest"
        assert (await client.get("/readyz")).json()["reasons"] == ["the store cannot be read: unavailable"]
        assert (await client.get("/metrics")).status_code == 200
