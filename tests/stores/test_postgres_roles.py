"""The roles that docs/postgres.md makes can do what they are for, and nothing else."""

import re
from pathlib import Path

import asyncpg
import pytest

from diptych import NotAStore, Unavailable
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from tests.app.shop import OrderCount, ShipOrder, order, shop
from tests.app.stepping import in_step
from tests.postgres import Server

PAGE = (Path(__file__).parents[2] / "docs" / "postgres.md").read_text("utf-8")


@pytest.fixture
async def url(postgres: Server) -> str:
    """A store whose roles were made as the page says."""
    url = postgres.url("with_roles")
    address = address_of(url)
    owner = await asyncpg.connect(address.dsn)
    await owner.execute("DROP SCHEMA IF EXISTS with_roles, with_roles_views CASCADE")
    for role in ("shop_app", "shop_reader"):
        if await owner.fetchval("SELECT to_regrole($1) IS NOT NULL", role):
            await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await PostgresStore(url).migrate()
    (roles,) = re.findall(r"```sql\n(CREATE ROLE.*?)```", PAGE, re.DOTALL)
    await owner.execute(re.sub(r"\bdiptych(_views)?\b", r"with_roles\1", roles))
    await owner.close()
    return url


async def test_one_role_runs_a_context_and_cannot_change_an_event(url: str) -> None:
    url = url.replace("postgres@", "shop_app@")
    for _ in range(2):
        async with shop.open(url) as app:
            receipt = await app.execute(order("1"), command_id="once")
            assert await app.ask(OrderCount(), after=receipt.token) == 1
    connection = await asyncpg.connect(address_of(url).dsn)
    tables = [f"with_roles.{table}" for table in ("event", "event_tag", "ledger", "log")]
    changes = [f"{what} {table}" for what in ("DELETE FROM", "TRUNCATE") for table in tables]
    for statement in ("UPDATE with_roles.event SET data = ''", *changes):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_it_keeps_views_in_step_and_lets_go_of_them(url: str) -> None:
    async with in_step.open(url.replace("postgres@", "shop_app@")) as app:
        await app.execute(order("1"))
        assert await app.ask(OrderCount()) == 1
    async with PostgresStore(url.replace("postgres@", "shop_app@")).views() as views:
        assert await views.part("OrderSummary")


async def test_another_role_reads_and_appends_nothing(url: str) -> None:
    async with shop.open(url.replace("postgres@", "shop_app@")) as app:
        receipt = await app.execute(order("1"))
        await app.caught_up(receipt.token)
    async with shop.open(url.replace("postgres@", "shop_reader@"), projectors=False) as app:
        assert await app.ask(OrderCount(), after=receipt.token) == 1
        assert [event.stream async for event in app.events()] == ["order-1"]
        with pytest.raises(Unavailable, match="permission denied"):
            await app.execute(ShipOrder(order_id="1"))


async def test_a_log_that_nobody_owns_yet_is_left_so_by_those_who_only_read(url: str) -> None:
    for _ in range(2):
        async with shop.open(url.replace("postgres@", "shop_reader@"), projectors=False) as app:
            assert [event async for event in app.events()] == []
    async with PostgresStore(url).log(context="library"):
        pass
    with pytest.raises(NotAStore, match="'library', and not of 'shop'"):
        async with shop.open(url.replace("postgres@", "shop_reader@"), projectors=False):
            pass
