"""Behind PgBouncer in transaction mode a store keeps every promise, by polling; one that cannot work is named."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from diptych import Unavailable
from diptych.stores import Store, store_at
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.writer import Writer
from diptych.testing import EventLogContract, ViewStoreContract
from diptych.testing.event_log import Clock
from tests.app.shop import OrderById, OrderCount, order, shop
from tests.conftest import new_store
from tests.pgbouncer import Pooler, pooled, pooler
from tests.postgres import Server

KEEPS_STATEMENTS = (1, 21)


@pytest.fixture(scope="module")
def program() -> Pooler:
    found = pooler()
    if found is None:
        pytest.skip("there is no PgBouncer here")
    return found


@pytest.fixture(scope="module")
def place(program: Pooler, postgres: Server) -> Iterator[str]:
    """Where the pooler is that works."""
    if program.version < KEEPS_STATEMENTS:
        pytest.skip("this PgBouncer is too old: 1.21 began to keep prepared statements")
    with pooled(postgres, program, max_prepared_statements="100") as place:
        yield place


def through(place: str, url: str) -> str:
    """The same store by way of the pooler."""
    return re.sub(r"host=[^&]+", place, url)


@pytest.fixture
def url(place: str, postgres_url: str) -> str:
    return through(place, postgres_url)


class TestLogBehindPgBouncer(EventLogContract):
    rounds = 20

    @pytest.fixture
    def store(self, url: str, clock: Clock) -> Store:
        return PostgresStore(url, clock)


class TestViewsBehindPgBouncer(ViewStoreContract):
    @pytest.fixture
    def store(self, url: str) -> Store:
        return PostgresStore(url)


async def test_it_is_migrated_executes_projects_and_answers(place: str, postgres: Server) -> None:
    url = through(place, postgres.url("migrated_behind_a_pooler"))
    await PostgresStore(url).migrate()
    async with shop.open(url) as app:
        for round_ in range(20):
            await asyncio.gather(*[app.execute(order(f"{round_}-{number}")) for number in range(10)])
        assert await app.ask(OrderCount(), after=await app.token()) == 200


async def test_what_others_keep_is_seen_by_polling(url: str, postgres_url: str) -> None:
    async with shop.open(url) as app, shop.open(postgres_url, projectors=False) as direct:
        for number in range(5):
            receipt = await direct.execute(order(f"{number}"))
            assert await app.ask(OrderById(order_id=f"{number}"), after=receipt.token) is not None


async def test_a_session_that_is_everybodys_is_never_ended(url: str, postgres_url: str) -> None:
    for there, known in ((url, False), (postgres_url, True)):
        writer = Writer(address_of(there))
        await writer._ready()
        assert (writer._session is not None) is known
        await writer.close()


async def test_a_pooler_that_keeps_no_prepared_statements_is_named(program: Pooler, postgres: Server) -> None:
    settings = {"max_prepared_statements": "0"} if program.version >= KEEPS_STATEMENTS else {}
    direct = await asyncio.to_thread(new_store, postgres)
    with pooled(postgres, program, **settings) as place:

        async def read() -> None:
            async with store_at(through(place, direct)).log() as log:
                await asyncio.gather(*[log.load(f"order-{number}") for _ in range(50) for number in range(20)])
                await asyncio.gather(*[log.outcome(f"{number}") for number in range(200)])

        with pytest.raises(Unavailable, match=r"does not keep prepared statements; PgBouncer does from version 1\.21"):
            await asyncio.gather(*[read() for _ in range(8)])
