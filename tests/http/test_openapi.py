"""The description: valid OpenAPI 3.1, as strict as the messages are, and true: schemathesis tries all of it."""

from typing import Any

import pytest
from httpx import AsyncClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from diptych.demo import shop as demo
from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.conftest import client_of
from tests.http.contexts import odd


async def described(gateway: Gateway) -> dict[str, Any]:
    async with client_of(gateway) as client:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
        return document


@pytest.mark.parametrize("context", [shop, odd, demo], ids=["shop", "odd", "demo"])
async def test_the_description_is_valid(context: Any) -> None:
    document = await described(Gateway(context, "memory://"))

    assert document["openapi"].startswith("3.1")
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())
    ids = [way["operationId"] for item in document["paths"].values() for way in item.values() if "operationId" in way]
    assert len(ids) == len(set(ids))


@pytest.fixture
async def document() -> dict[str, Any]:
    return await described(Gateway(odd, "memory://"))


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


async def test_a_docstring_is_summary_and_description(document: dict[str, Any]) -> None:
    way = document["paths"]["/odd%20ones/commands/note%20%C3%BC"]["post"]

    assert way["summary"] == "Note a thing down."
    assert way["description"] == "A second paragraph.\n\nDecided by the aggregate `thing`."
    assert document["paths"]["/odd%20ones/queries/Things"]["get"]["summary"] == "Things"


async def test_a_time_has_a_format_and_a_decimal_a_pattern(document: dict[str, Any]) -> None:
    assert schema(document, "Note")["properties"]["at"] == {"type": "string", "format": "date-time"}
    assert "pattern" in schema(document, "Part")["properties"]["weight"]
    assert schema(document, "Say")["properties"]["at"]["anyOf"][0] == {"type": "string", "format": "date-time"}


async def test_an_id_says_what_an_id_may_be() -> None:
    document = await described(Gateway(shop, "memory://"))

    assert schema(document, "PlaceOrder")["properties"]["order_id"]["maxLength"] == 200
    assert "maxLength" not in schema(document, "PlaceOrder")["properties"]["customer_id"]


async def test_constraints_are_in_the_parameters(document: dict[str, Any]) -> None:
    ways = document["paths"]["/odd%20ones/queries/Say"]
    parameters = {one["name"]: one for one in ways["get"]["parameters"]}

    assert parameters["numbers"]["schema"] == {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 9},
        "maxItems": 3,
        "default": [],
    }
    assert parameters["price"]["required"]
    assert parameters["from"]["schema"]["type"] == "string"
    assert set(ways) == {"get", "post"}
    assert set(document["paths"]["/odd%20ones/queries/Weigh"]) == {"post"}


async def test_every_answer_says_its_codes(document: dict[str, Any]) -> None:
    responses = document["paths"]["/odd%20ones/commands/note%20%C3%BC"]["post"]["responses"]

    assert "`command-id-reused`" in responses["422"]["description"]
    assert "`command-in-flight`" in responses["409"]["description"]
    assert "`outcome-unknown`" in responses["503"]["description"]
    assert "Retry-After" in responses["503"]["headers"]


@pytest.mark.parametrize("context", [shop, odd, demo], ids=["shop", "odd", "demo"])
async def test_every_example_is_accepted_as_far_as_its_shape_goes(context: Any) -> None:
    gateway = Gateway(context, "memory://")
    async with client_of(gateway) as client:
        for path, item in (await client.get("/openapi.json")).json()["paths"].items():
            body = item.get("post", {}).get("requestBody")
            if body is not None and "Fail" not in path and "Explode" not in path:
                response = await client.post(path, json=body["content"]["application/json"]["example"])
                assert response.status_code in (200, 404, 422), response.text


async def test_a_description_is_made_once(client: AsyncClient) -> None:
    assert (await client.get("/openapi.json")).content == (await client.get("/openapi.json")).content
