"""Requests that many tests make, and what a problem must always look like."""

from typing import Any

from httpx import AsyncClient, Response

PLACE = "/shop/commands/PlaceOrder"
SHIP = "/shop/commands/ShipOrder"
ORDERS_OF = "/shop/queries/OrdersOf"


def order_body(order_id: str = "1", price: str = "15.00") -> dict[str, Any]:
    return {"order_id": order_id, "customer_id": "c", "lines": [{"sku": "mug", "quantity": 1, "price": price}]}


async def placed(client: AsyncClient, order_id: str = "1", **headers: str) -> Response:
    """An order that was accepted. Header names have underscores here."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(PLACE, json=order_body(order_id), headers=named)
    assert response.status_code == 200, response.text
    return response


def check_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """The members of a problem, after what holds for every one of them."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    said: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code"} <= set(said)
    assert (said["status"], said["code"]) == (status, code)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert ("retry-after" in response.headers) == (status == 503)
    return said
