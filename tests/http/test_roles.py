"""One side of a context alone."""

import pytest
from httpx import AsyncClient

from diptych.http import Gateway, Role
from tests.app.shop import shop
from tests.http.asking import PLACE, check_problem, order_body
from tests.http.conftest import client_of

COUNT = "/shop/queries/OrderCount"


def statuses(described: dict[str, dict[str, object]]) -> tuple[bool, bool]:
    """Whether an OpenAPI document has commands, and queries."""
    paths = described["paths"]
    return any("/commands/" in path for path in paths), any("/queries/" in path for path in paths)


async def asked(client: AsyncClient) -> tuple[int, int]:
    return (await client.post(PLACE, json=order_body())).status_code, (await client.get(COUNT)).status_code


@pytest.mark.parametrize(
    ("role", "commands", "queries"),
    [
        (Role.ALL, True, True),
        (Role.COMMAND, True, False),
        (Role.QUERY, False, True),
        (Role.PROJECTOR, False, False),
    ],
)
async def test_a_role_has_its_side_and_health_and_metrics(
    sqlite_url: str, role: Role, *, commands: bool, queries: bool
) -> None:
    async with client_of(Gateway(shop, sqlite_url, role=role)) as client:
        assert await asked(client) == (200 if commands else 404, 200 if queries else 404)
        assert statuses((await client.get("/openapi.json")).json()) == (commands, queries)
        for address in ("/healthz", "/readyz", "/metrics", "/docs"):
            assert (await client.get(address)).status_code == 200


async def test_what_a_role_leaves_out_is_said_to_be_left_out(sqlite_url: str) -> None:
    async with client_of(Gateway(shop, sqlite_url, role=Role.QUERY)) as client:
        refused = await client.post(PLACE, json=order_body())
        check_problem(refused, 404, "not-found")
        assert refused.json()["detail"] == "This server has the role query and takes no commands."
        assert (await client.get("/shop/commands/some-id")).status_code == 404


async def test_an_obstacle_beside_the_gateway_is_in_the_way_of_readiness(sqlite_url: str) -> None:
    obstacles = ["the projectors' process is starting"]
    gateway = Gateway(shop, sqlite_url, obstacle=lambda: obstacles[0] if obstacles else None)
    async with client_of(gateway) as client:
        told = await client.get("/readyz")
        assert told.status_code == 503
        assert told.json()["reasons"] == obstacles
        obstacles.clear()
        assert (await client.get("/readyz")).status_code == 200
