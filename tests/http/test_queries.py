"""Queries over HTTP: by address and by body, as fresh as asked, told apart by their entity tag."""

from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.asking import ORDERS_OF, check_problem, placed
from tests.http.conftest import client_of, gateway_of
from tests.http.contexts import odd

ROW = {"order_id": "1", "customer_id": "c", "total": "15.00", "status": "placed"}
SAY = "/odd ones/queries/Say"
DEFAULTS: dict[str, Any] = {
    "words": [],
    "numbers": [],
    "flag": None,
    "ratio": 0.5,
    "on": None,
    "at": None,
    "id": None,
    "price": "1.50",
    "colour": "red",
    "size": "s",
    "from_": None,
}


async def test_an_answer_is_never_older_than_the_token(client: AsyncClient) -> None:
    for number in range(20):
        token = (await placed(client, str(number))).headers["diptych-token"]
        response = await client.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": token})

        assert len(response.json()) == number + 1
        assert int(response.headers["diptych-position"]) >= number + 1
        assert float(response.headers["diptych-lag"]) >= 0


async def test_a_query_by_post_has_its_fields_in_the_body(client: AsyncClient) -> None:
    token = (await placed(client)).headers["diptych-token"]
    response = await client.post(ORDERS_OF, json={"customer_id": "c", "limit": 5}, headers={"Diptych-After": token})

    assert response.json() == [ROW]
    assert "etag" in response.headers


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ("", {}),
        ("&words=a&words=b%26c+d", {"words": ["a", "b&c d"]}),
        ("&numbers=1&numbers=2", {"numbers": [1, 2]}),
        ("&flag=true", {"flag": True}),
        ("&ratio=-2.5e1", {"ratio": -25.0}),
        ("&ratio=3", {"ratio": 3.0}),
        ("&on=2026-01-31", {"on": "2026-01-31"}),
        ("&at=2026-01-31T12:00:00%2B01:00", {"at": "2026-01-31T12:00:00+01:00"}),
        ("&id=01890a5d-ac96-774b-bcce-b302099a8057", {"id": "01890a5d-ac96-774b-bcce-b302099a8057"}),
        ("&colour=blue", {"colour": "blue"}),
        ("&size=3", {"size": 3}),
        ("&size=m", {"size": "m"}),
        ("&from=%C3%BC", {"from_": "ü"}),
        ("&from=", {"from_": ""}),
    ],
)
async def test_scalars_and_lists_of_them_stand_in_an_address(
    odd_client: AsyncClient, asked: str, changed: dict[str, Any]
) -> None:
    response = await odd_client.get(f"{SAY}?price=1.50{asked}")

    assert (response.status_code, response.json()) == (200, DEFAULTS | changed)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("", "$"),
        ("price=x", "$.price"),
        ("price=NaN", "$.price"),
        ("price=1&price=1", "$.price"),
        ("price=1&flag=1", "$.flag"),
        ("price=1&flag=True", "$.flag"),
        ("price=1&numbers=1&numbers=x", "$.numbers[1]"),
        ("price=1&numbers=10", "$.numbers[0]"),
        ("price=1&numbers=1&numbers=1&numbers=1&numbers=1", "$.numbers"),
        ("price=1&numbers=٣", "$.numbers[0]"),
        ("price=1&numbers=1_0", "$.numbers[0]"),
        ("price=1&ratio=nan", "$.ratio"),
        ("price=1&ratio=", "$.ratio"),
        ("price=1&at=2026-01-31T12:00:00", "$.at"),
        ("price=1&at=5", "$.at"),
        ("price=1&colour=green", "$.colour"),
        ("price=1&size=s&size=m", "$.size"),
        ("price=1&nothing=1", "$"),
        ("price=%FF", "$"),
        ("&".join(["words=a"] * 1001), "$"),
    ],
)
async def test_a_parameter_that_is_not_of_its_field_is_refused_with_its_path(
    odd_client: AsyncClient, asked: str, path: str
) -> None:
    assert check_problem(await odd_client.get(f"{SAY}?{asked}"), 400, "malformed")["path"] == path


async def test_a_record_has_no_place_in_an_address(odd_client: AsyncClient) -> None:
    address = "/odd ones/queries/Weigh"
    response = await odd_client.get(f"{address}?part=x")
    beside = await odd_client.get("/odd ones/queries/Heavy?than=x")
    posted = await odd_client.post(address, json={"part": {"name": "a", "weight": "2.50"}})

    check_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"
    assert "POST" in check_problem(beside, 400, "malformed")["detail"]
    assert (await odd_client.get("/odd ones/queries/Heavy")).json() is False
    assert posted.json() == "2.50"


async def test_parameters_beside_a_body_are_refused(client: AsyncClient) -> None:
    check_problem(await client.post(f"{ORDERS_OF}?limit=1", json={"customer_id": "c"}), 400, "malformed")


async def test_an_answer_that_the_client_has_is_not_sent_again(client: AsyncClient) -> None:
    asked = {"customer_id": "c"}
    token = (await placed(client)).headers["diptych-token"]
    first = await client.get(ORDERS_OF, params=asked, headers={"Diptych-After": token})
    etag = first.headers["etag"]

    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = await client.get(ORDERS_OF, params=asked, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert "diptych-position" in again.headers
        assert "content-type" not in again.headers
    assert (await client.get(ORDERS_OF, params=asked, headers={"If-None-Match": '"x"'})).status_code == 200

    token = (await placed(client, "2")).headers["diptych-token"]
    changed = await client.get(ORDERS_OF, params=asked, headers={"If-None-Match": etag, "Diptych-After": token})
    assert (changed.status_code, changed.headers["etag"] != etag) == (200, True)


async def test_head_gives_the_headers_alone(client: AsyncClient) -> None:
    got = await client.get(ORDERS_OF, params={"customer_id": "c"})
    head = await client.head(ORDERS_OF, params={"customer_id": "c"})

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("token", ["", "x", "0123456789abcdef", "0123456789abcdef.-1", "Ü", "0123456789ABCDEF.1"])
async def test_a_token_that_is_none_is_refused(client: AsyncClient, token: str) -> None:
    headers = [(b"diptych-after", token.encode())]
    response = await client.get(ORDERS_OF, params={"customer_id": "c"}, headers=headers)

    assert check_problem(response, 400, "malformed")["header"] == "Diptych-After"


async def test_a_token_of_another_log_is_refused(client: AsyncClient) -> None:
    headers = {"Diptych-After": "0123456789abcdef.1"}
    check_problem(await client.get(ORDERS_OF, params={"customer_id": "c"}, headers=headers), 400, "malformed")


async def test_a_token_of_the_future_is_told_at_once(client: AsyncClient) -> None:
    log_id = (await placed(client)).headers["diptych-token"].partition(".")[0]
    headers = {"Diptych-After": f"{log_id}.99", "Prefer": "wait=30, handling=lenient"}
    response = await client.get(ORDERS_OF, params={"customer_id": "c"}, headers=headers)

    assert check_problem(response, 503, "not-caught-up")["wanted"] == 99


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=2", "wait=2"),
        ("wait=0", "wait=0"),
        ("WAIT = 2; x=1", "wait=2"),
        ('wait="2"', "wait=2"),
        ("wait=99999999999999999999", "wait=30"),
        ("handling=lenient", "handling=lenient"),
        ("handling=strict", "handling=strict"),
        ("respond-async, wait=1, handling=lenient, wait=9", "wait=1, handling=lenient"),
        ("wait=x", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=٣", None),
        ("handling=maybe", None),
        ("", None),
        ('"wait=2', None),
        (";;,,==", None),
    ],
)
async def test_prefer_is_taken_up_as_far_as_it_is_understood(
    client: AsyncClient, prefer: str, applied: str | None
) -> None:
    headers = [(b"prefer", prefer.encode())]
    response = await client.get(ORDERS_OF, params={"customer_id": "c"}, headers=headers)

    assert (response.status_code, response.headers.get("preference-applied")) == (200, applied)


async def test_an_older_answer_is_given_to_the_lenient_alone() -> None:
    gateway = Gateway(odd, "memory://")
    body = {"thing_id": "01890a5d-ac96-774b-bcce-b302099a8057", "at": "2026-01-01T00:00:00Z"}
    async with client_of(gateway) as client:
        command = body | {"part": {"name": "poison", "weight": "1"}}
        token = (await client.post("/odd ones/commands/note ü", json=command)).headers["diptych-token"]
        await client.get("/odd ones/queries/Things", headers={"Diptych-After": token, "Prefer": "wait=10"})
        asked = {"Diptych-After": token, "Prefer": "wait=0"}
        strict = await client.get("/odd ones/queries/Things", headers=asked)
        lenient = await client.get("/odd ones/queries/Things", headers=asked | {"Prefer": "wait=0, handling=lenient"})

    said = check_problem(strict, 503, "not-caught-up")
    assert (said["view"], said["position"], said["wanted"]) == ("ThingView", 0, 1)
    assert (lenient.status_code, lenient.json(), lenient.headers["diptych-stale"]) == (200, {}, "true")
    assert lenient.headers["preference-applied"] == "wait=0, handling=lenient"
    assert (lenient.headers["diptych-lag"], lenient.headers["diptych-parked"]) == ("0", "1")


@pytest.mark.parametrize("how", ["raise", "unwritable"])
async def test_what_a_handler_does_wrong_stays_in_the_log(odd_client: AsyncClient, how: str) -> None:
    response = await odd_client.get(f"/odd ones/queries/Fail?how={how}")

    check_problem(response, 500, "internal-error")
    assert "42" not in response.text


async def test_a_query_that_takes_too_long_is_given_up() -> None:
    async with client_of(gateway_of(odd, query_timeout=timedelta(milliseconds=50))) as client:
        check_problem(await client.get("/odd ones/queries/Fail?how=slow"), 504, "timed-out")


async def test_two_gateways_on_one_file_read_what_the_other_wrote(sqlite_url: str) -> None:
    async with client_of(Gateway(shop, sqlite_url)) as one, client_of(Gateway(shop, sqlite_url)) as other:
        token = (await placed(one)).headers["diptych-token"]
        response = await other.get(ORDERS_OF, params={"customer_id": "c"}, headers={"Diptych-After": token})

    assert response.json() == [ROW]
