"""A context on PostgreSQL: the whole way from command to query, also while its server comes and goes."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from diptych import BoundedContext, NotCaughtUp, Token, Unavailable, View
from diptych.read import ViewShape
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.snapshot import PostgresSnapshot
from tests.app.shop import AllOrders, OrderCount, ShipOrder, order, shop
from tests.app.stepping import in_step
from tests.conftest import RELEASES, new_store, programs_of
from tests.faults.postgres_tools import kill, session
from tests.faults.tools import check_whole
from tests.postgres import Server, running
from tests.views import LOG, OTHER_LOG, at, begin


class Item(View, key="id"):
    id: int


ITEM = ViewShape(Item)


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that may be killed."""
    with running(programs_of(max(RELEASES, key=int, default=""))) as server:
        yield server


async def test_commands_become_answers_that_are_never_older_than_their_receipts(postgres_url: str) -> None:
    async with shop.open(postgres_url) as app:
        for number in range(50):
            receipt = await app.execute(order(f"{number}"))
            assert await app.ask(OrderCount(), after=receipt.token) == number + 1
        await asyncio.gather(*[app.execute(ShipOrder(order_id=f"{number}")) for number in range(50)])
        await check_whole(app)
    async with shop.open(postgres_url) as app:
        assert len(await app.ask(AllOrders(), after=await app.token())) == 50


@pytest.mark.parametrize("context", [shop, in_step], ids=["following", "in step"])
@pytest.mark.parametrize("emptied", [True, False])
async def test_a_log_that_was_restored_without_its_views_is_migrated_and_projected_anew(
    postgres_url: str, context: BoundedContext, *, emptied: bool
) -> None:
    address = address_of(postgres_url)
    async with context.open(postgres_url) as app:
        await app.caught_up((await app.execute(order("1"))).token)
    async with session(postgres_url) as owner:
        await owner.execute(f"DROP SCHEMA {address.views_schema} CASCADE")
        if emptied:
            await owner.execute(address.placed("DELETE FROM diptych.generation"))
    assert await PostgresStore(postgres_url).migrate() == []
    async with context.open(postgres_url) as app:
        assert await app.ask(OrderCount(), after=await app.token()) == 1
        receipt = await app.execute(order("2"))
        assert await app.ask(OrderCount(), after=receipt.token) == 2


async def test_two_openings_answer_for_each_others_commands(postgres_url: str) -> None:
    async with shop.open(postgres_url) as one, shop.open(postgres_url) as other:
        for number in range(20):
            receipt = await (one, other)[number % 2].execute(order(f"{number}"))
            assert await (other, one)[number % 2].ask(OrderCount(), after=receipt.token) == number + 1
        await check_whole(one)


async def test_more_questions_than_connections_take_turns(postgres_url: str) -> None:
    async with shop.open(postgres_url) as app:
        receipt = await app.execute(order("1"))
        answers = await asyncio.gather(*[app.ask(OrderCount(), after=receipt.token) for _ in range(200)])
        assert answers == [1] * 200


async def test_9_projectors_whose_sessions_are_killed_go_on_and_count_nothing_twice(postgres_url: str) -> None:
    async with shop.open(postgres_url) as app:
        done = asyncio.Event()

        async def harm() -> int:
            killed = 0
            while not done.is_set():
                killed += await kill(postgres_url, "projector") + await kill(postgres_url, "query")
                await asyncio.sleep(0.02)
            return killed

        harming = asyncio.create_task(harm())
        for number in range(300):
            await app.execute(order(f"{number}"))
        done.set()
        assert await harming > 3
        assert len(await check_whole(app)) == 300


async def test_22_a_server_that_is_restarted_is_found_again_by_commands_projectors_and_queries(
    own_postgres: Server,
) -> None:
    url = await asyncio.to_thread(new_store, own_postgres)
    async with shop.open(url) as app:
        receipt = await app.execute(order("1"))
        await app.caught_up(receipt.token)
        for number in range(2, 5):
            await asyncio.to_thread(own_postgres.stop)
            with pytest.raises(Unavailable):
                await app.ask(OrderCount())
            await asyncio.to_thread(own_postgres.start)
            receipt = await app.execute(order(f"{number}"))
            assert await app.ask(OrderCount(), after=receipt.token, timeout=timedelta(seconds=10)) == number
        await check_whole(app)


async def test_a_token_ahead_of_the_log_is_waited_for_and_then_refused(postgres_url: str) -> None:
    async with shop.open(postgres_url) as app:
        with pytest.raises(NotCaughtUp):
            await app.ask(OrderCount(), after=Token.at(app.log.log_id, 5), timeout=timedelta(milliseconds=100))


async def test_a_view_begins_anew_while_its_former_filling_is_read_and_drops_it_when_it_can(postgres_url: str) -> None:
    async def fillings() -> list[str]:
        async with session(postgres_url) as connection:
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1"
            return [row[0] for row in await connection.fetch(sql, address_of(postgres_url).views_schema)]

    async with PostgresStore(postgres_url).views() as store:
        await begin(store, ITEM, [Item(id=1)])
        async with store.snapshot() as held:
            await held.generation(ITEM)
            assert len(await held.get_many(ITEM, [1])) == 1
            (checkpoint,) = (await store.prepare(ITEM, OTHER_LOG)).checkpoints
            assert checkpoint.position == 0
            await store.commit(ITEM, {2: Item(id=2)}, checkpoint, at(1))
            assert await store.switch(ITEM, checkpoint.generation)
            assert len(await held.get_many(ITEM, [1])) == 1
            assert await fillings() == ["Item_1", "Item_2"]
        async with store.snapshot() as snapshot:
            await snapshot.generation(ITEM)
            assert await snapshot.sql("SELECT * FROM item", {}) == [{"id": 2}]
        third = await store.prepare(ITEM, LOG)
        assert third.number == 3
        assert await store.switch(ITEM, 3)
        assert await fillings() == ["Item_3"]


async def test_a_reader_whose_filling_is_dropped_under_it_is_told_to_ask_again(postgres_url: str) -> None:
    async with PostgresStore(postgres_url).views() as store:
        await begin(store, ITEM, [Item(id=1)])
        async with store.snapshot() as late:
            await late.generation(ITEM)  # it has not touched the rows yet
            await store.switch(ITEM, (await store.prepare(ITEM, OTHER_LOG)).number)
            with pytest.raises(Unavailable, match="ask again"):
                await late.get_many(ITEM, [1])


async def test_a_query_whose_rows_are_gone_when_it_comes_to_them_is_run_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    select, runs = PostgresSnapshot.count, 0

    async def count(self: PostgresSnapshot, *which: Any) -> int:
        nonlocal runs
        runs += 1
        if runs <= gone:
            async with session(postgres_url) as other:
                number = await other.fetchval(address.placed("SELECT generation FROM diptych.generation"))
                table = f'{address.views_schema}."OrderSummary_{number}"'
                await other.execute(f"ALTER TABLE {table} RENAME TO away")
                try:
                    return await select(self, *which)
                finally:
                    await other.execute(f'ALTER TABLE {address.views_schema}.away RENAME TO "OrderSummary_{number}"')
        return await select(self, *which)

    address = address_of(postgres_url)
    async with shop.open(postgres_url) as app:
        await app.caught_up((await app.execute(order("1"))).token)
        monkeypatch.setattr(PostgresSnapshot, "count", count)
        gone = 2
        assert (await app.ask(OrderCount()), runs) == (1, 3)
        gone = 9
        with pytest.raises(Unavailable, match="projection rebuild"):
            await app.ask(OrderCount())
        assert runs == 6


async def test_views_that_are_forgotten_are_filled_anew(postgres_url: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "postgres.md").read_text("utf-8")
    forget = address_of(postgres_url).placed("DELETE FROM diptych.generation;")
    assert "```sql\nDELETE FROM diptych.generation;\n```" in page
    for number in range(3):
        async with shop.open(postgres_url) as app:
            receipt = await app.execute(order(f"{number}"))
            assert await app.ask(OrderCount(), after=receipt.token) == number + 1
            await check_whole(app)
        async with session(postgres_url) as connection:
            await connection.execute(forget)
