"""The roles that docs/postgres.md makes can do what they are for, and nothing else."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from diptych import NotAStore, Unavailable
from diptych.cli import main
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.schema import MIGRATIONS
from tests.app.shop import OrderCount, ShipOrder, order, shop
from tests.app.stepping import in_step
from tests.postgres import Server

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "postgres.md").read_text("utf-8")


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
    await owner.execute(of_page("CREATE ROLE"))
    await owner.close()
    return url


def of_page(beginning: str) -> str:
    """The one block of the page's SQL that begins so, for this store's schemas."""
    (sql,) = re.findall(rf"```sql\n({beginning}.*?)```", PAGE, re.DOTALL)
    return re.sub(r"\bdiptych(_views)?\b", r"with_roles\1", sql)


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


async def test_views_that_the_owner_has_filled_are_given_back_to_the_role_that_runs_the_context(url: str) -> None:
    async with shop.open(url) as app:
        receipt = await app.execute(order("1"))
        await app.caught_up(receipt.token)
    app_url, reader_url = (url.replace("postgres@", f"{role}@") for role in ("shop_app", "shop_reader"))
    async with shop.open(reader_url, projectors=False) as app:
        with pytest.raises(Unavailable, match="permission denied"):
            await app.ask(OrderCount())

    owner = await asyncpg.connect(address_of(url).dsn)
    await owner.execute(of_page(r"DO \$\$"))
    await owner.close()

    rebuild = ("projection", "rebuild", "OrderSummary", "--target", "tests.app.shop:shop", "--store", app_url)
    assert await asyncio.to_thread(main, rebuild) == 0
    async with shop.open(app_url) as app:
        receipt = await app.execute(order("2"))
        assert await app.ask(OrderCount(), after=receipt.token) == 2
    async with shop.open(reader_url, projectors=False) as app:
        assert await app.ask(OrderCount(), after=receipt.token) == 2


@pytest.mark.parametrize("page", ["postgres.md", "cli.md"])
def test_the_pages_show_every_migration(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    shown = re.findall(r"^Applied (\d{4} \w+)$", text, re.MULTILINE)
    assert shown == [f"{migration.number:04} {migration.name}" for migration in MIGRATIONS]


def test_the_page_lists_every_table() -> None:
    tables = re.findall(r'CREATE TABLE "diptych"\.(\w+)', address_of("postgresql:///x").script("schema.sql"))
    assert tables
    assert [table for table in tables if f"`{table}`" not in PAGE.partition("## Roles")[0]] == []
