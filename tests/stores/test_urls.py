"""What may stand where the address of a store on PostgreSQL should be, and what is shown of it."""

import subprocess
import sys

import pytest

from diptych import Malformed, Unavailable
from diptych.stores import store_at, without_password
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from tests.postgres import Server


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://localhost/shop", "postgresql://localhost/shop"),
        ("postgresql://ann@localhost/shop?schema=a", "postgresql://ann@localhost/shop?schema=a"),
        ("postgresql://ann:secret@localhost:5433/shop", "postgresql://ann:***@localhost:5433/shop"),
        ("postgresql://ann:a%40b:c@localhost/shop", "postgresql://ann:***@localhost/shop"),
        ("postgresql:///shop?host=/run&password=secret", "postgresql:///shop?host=/run&password=***"),
        ("postgresql://ann:se\ncret@localhost/shop", "postgresql://ann:***@localhost/shop"),
        ("postgresql://ann:secret/shop", "postgresql://ann:***"),
        ("postgresql://one:1,two:2/shop", "postgresql://one:1,two:2/shop"),
        ("postgresql://[::1]:5432/shop", "postgresql://[::1]:5432/shop"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("memory://", "memory://"),
        ("postgresql://[", "postgresql://["),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_schema_is_the_stores_and_the_rest_is_the_drivers() -> None:
    address = address_of("postgresql://localhost/shop?schema=sales&sslmode=require")
    assert (address.dsn, address.schema) == ("postgresql://localhost/shop?sslmode=require", "sales")
    assert address_of("postgresql://localhost/shop").schema == "diptych"
    assert address.placed("SELECT 'diptych' FROM diptych.event") == "SELECT 'sales' FROM \"sales\".event"


@pytest.mark.parametrize("schema", ["", "Shop", "pg_shop", "a-b", "a b", "é", "1a", "x" * 41, 'a"b', "a;b"])
def test_a_schema_that_would_need_quotes_is_malformed(schema: str) -> None:
    with pytest.raises(Malformed, match="is no schema"):
        store_at(f"postgresql://localhost/shop?schema={schema}")


@pytest.mark.parametrize("schema", ["shop_views", "_views", "diptych_views"])
def test_a_schema_that_is_anothers_for_its_views_is_malformed(schema: str) -> None:
    with pytest.raises(Malformed, match="names that end in _views are those of views' schemas"):
        store_at(f"postgresql://localhost/shop?schema={schema}")


@pytest.mark.parametrize("schema", ["order", "_x", "a1_2", "x" * 40, "public_", "diptych"])
async def test_any_other_schema_works(postgres: Server, schema: str) -> None:
    store = PostgresStore(postgres.url(schema))
    await store.migrate()
    async with store.log() as log:
        assert (await log.head()).position == 0


def test_a_driver_that_is_missing_is_named_with_the_command_that_brings_it() -> None:
    code = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from diptych.stores import store_at\n"
        "try: store_at('postgresql://localhost/shop')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == 'Unavailable PostgreSQL needs a driver: pip install "diptych[postgres]"\n'


def test_the_driver_is_imported_only_when_a_url_asks_for_it() -> None:
    code = "import sys, diptych, diptych.cli, diptych.stores; print('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


async def test_a_database_that_is_missing_is_named(postgres: Server) -> None:
    url = postgres.url().replace("/postgres?", "/nowhere?")
    with pytest.raises(Unavailable, match=r'database "nowhere" does not exist.*createdb'):
        async with PostgresStore(url).log():
            pass


@pytest.mark.parametrize("url", ["postgresql://localhost:port/shop", "postgresql://localhost/shop?sslmode=perhaps"])
async def test_an_address_that_the_driver_cannot_read_is_malformed(url: str) -> None:
    with pytest.raises(Malformed):
        async with store_at(url).log():
            pass


@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter2@[/x", "sqlite://u:hunter2@host/shop.db", "sqlite:///x?token=hunter2"]
)
def test_a_url_that_is_refused_is_quoted_without_its_password(url: str) -> None:
    with pytest.raises(Malformed) as raised:
        store_at(url)
    assert "***" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost:5432/shop?user=ann%40here",
        "postgresql:///shop?host=/run&user=ann@here",
        "postgresql://ann:a%2Fb%40c@localhost/shop",
    ],
)
def test_an_at_sign_that_belongs_where_it_is_is_left_there(url: str) -> None:
    assert isinstance(store_at(url), PostgresStore)


def test_no_part_of_a_url_without_its_scheme_is_taken_for_a_file_and_shown() -> None:
    with pytest.raises(Malformed) as raised:
        store_at("post_gres://ann:hunter2@localhost/shop")
    assert "hunter2" not in str(raised.value)
