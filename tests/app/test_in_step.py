"""A view that is kept in step with the log: whoever has a receipt finds its rows; what it cannot take is refused."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from diptych import BoundedContext, ContextError, NotCaughtUp, Projection, ProjectionFailed, Unavailable, View
from diptych.read import NeverFilled, Pause, ProjectionSettings, Projector, Repair
from diptych.stores import store_at
from diptych.stores.sqlite import SqliteStore
from tests.app.shop import AllOrders, OrderById, OrderCount, OrderPlaced, ShipOrder, order, place_orders
from tests.app.stepping import Both, following, in_step, mended, mixed, newer, without
from tests.conftest import new_store
from tests.faults.tools import until

NOW = timedelta()
PAUSE = Pause("2026-01-31T12:00:00+00:00", "for the night")
SHAPE = in_step.folds[0].shape


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new store that several contexts can open one after the other."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    return new_store(request.getfixturevalue("postgres"))


async def is_in_step(url: str, context: BoundedContext = in_step) -> bool:
    async with store_at(url).views(in_step=True) as views:
        return [one.fingerprint for one in await views.in_step()] == [context.folds[0].shape.fingerprint]


async def nobody_is(url: str) -> bool:
    async with store_at(url).views(in_step=True) as views:
        return not await views.in_step()


@pytest.mark.parametrize("segments", [1, 3])
async def test_whoever_has_a_receipt_finds_the_rows_without_waiting(url: str, segments: int) -> None:
    tuned = {"OrderSummary": ProjectionSettings(segments=segments)}
    async with in_step.open(url, projections=tuned) as app:
        receipt = await app.execute(order("0"))
        for number in range(1, 20):
            receipt = await app.execute(order(f"{number}"))
            assert await app.ask(OrderCount()) == number + 1
            assert await app.ask(OrderById(order_id=f"{number}"), after=receipt.token, timeout=timedelta(seconds=1))
        answer = await app.answer(OrderCount(), after=receipt.token, wait=NOW)
        assert (answer.position, answer.lag.events, answer.stale) == (20, 0, False)
        assert (await app.status(receipt.command_id)).views == {"OrderSummary": True}


async def test_in_memory_as_well() -> None:
    async with in_step.open("memory://") as app:
        await app.execute(order("1"))
        await app.execute(ShipOrder(order_id="1"))
        assert [row.status for row in await app.ask(AllOrders())] == ["shipped"]
        with pytest.raises(ProjectionFailed):
            await app.execute(order("2", price="2000.00"))
        assert await app.ask(OrderCount()) == 1


@pytest.mark.parametrize("price", ["2000.00", "13.00"])
async def test_what_the_view_cannot_take_refuses_the_command_and_changes_nothing(url: str, price: str) -> None:
    async with in_step.open(url) as app:
        first = await app.execute(order("1"), command_id="c-1")
        with pytest.raises(ProjectionFailed, match="cannot take OrderPlaced at position 2") as refused:
            await app.execute(order("2", price=price), command_id="c-2")
        assert (refused.value.code, refused.value.status, refused.value.view) == ("projection-failed", 500, SHAPE.name)
        assert (await app.log.head()).position == 1
        assert await app.log.outcome("c-2") is None
        assert await app.ask(OrderCount()) == 1
        assert await app.execute(order("1"), command_id="c-1") == first
        assert (await app.standings())[0].letters == 0
    async with mended.open(url) as app:
        receipt = await app.execute(order("2", price=price), command_id="c-2")
        assert await app.execute(order("2", price=price), command_id="c-2") == receipt
        assert await app.ask(OrderCount()) == 2


async def test_of_many_at_once_only_those_are_refused_that_the_view_cannot_take(url: str) -> None:
    async with in_step.open(url) as app:
        commands = [order(f"{number}", price="2000.00" if number % 9 == 0 else "15.00") for number in range(64)]
        said = await asyncio.gather(*[app.execute(command) for command in commands], return_exceptions=True)
        refused = [number for number, one in enumerate(said) if isinstance(one, ProjectionFailed)]
        assert refused == [number for number in range(64) if number % 9 == 0]
        kept = {row.order_id for row in await app.ask(AllOrders())}
        assert kept == {f"{number}" for number in range(64)} - {f"{number}" for number in refused}
        assert (await app.log.head()).position == len(kept)


async def test_a_view_becomes_sync_and_async_again_and_no_answer_gets_older(url: str) -> None:
    async with following.open(url) as app:
        await place_orders(app, 9)
        receipt = await app.execute(order("9"))
    async with in_step.open(url) as app:
        assert await app.ask(OrderCount(), after=receipt.token) == 10
        await until(lambda: is_in_step(url))
        receipt = await app.execute(order("10"))
        assert await app.ask(OrderCount()) == 11
    async with following.open(url) as app:
        assert await app.ask(OrderCount(), after=receipt.token) == 11
        await until(lambda: nobody_is(url))
        receipt = await app.execute(order("11"))
        assert await app.ask(OrderCount(), after=receipt.token) == 12
        with suppress(NeverFilled):  # on SQLite its rows are beside the log again, and in it no more
            async with store_at(url).views(in_step=True) as views, views.snapshot() as snapshot:
                assert (await snapshot.generation(SHAPE)).position == 12
    async with in_step.open(url) as app:
        assert await app.ask(OrderCount(), after=receipt.token) == 12


async def test_an_old_deployment_keeps_a_view_in_step_until_it_ends(url: str) -> None:
    async with following.open(url) as new:
        async with in_step.open(url) as old:
            await until(lambda: is_in_step(url))
            for number in range(4):
                receipt = await new.execute(order(f"{number}"))
                assert await old.ask(OrderCount()) == number + 1
                assert await new.ask(OrderCount(), after=receipt.token) == number + 1
                await asyncio.sleep(0.4)
            assert await is_in_step(url)
        await until(lambda: nobody_is(url))
        assert await new.ask(OrderCount(), after=(await new.execute(order("4"))).token) == 5


async def test_whoever_lacks_the_projection_or_has_another_version_cannot_append(url: str) -> None:
    async with in_step.open(url) as app:
        await app.execute(order("1"))
        for other in (without, newer):
            async with other.open(url, projectors=False) as lacking:
                with pytest.raises(Unavailable, match="View OrderSummary is kept in step with the log by code that"):
                    await lacking.execute(order("2"))
        async with following.open(url, projectors=False) as same:
            await same.execute(order("2"))
        assert await app.ask(OrderCount()) == 2


async def test_a_newer_version_takes_over_and_the_one_before_comes_back_when_it_is_gone(url: str) -> None:
    async with in_step.open(url, lease=timedelta(seconds=1)) as old:
        await old.execute(order("1"))
        async with newer.open(url) as new:
            await until(lambda: is_in_step(url, newer))
            await new.execute(order("2"))
            assert await new.ask(OrderCount()) == 2
            with pytest.raises(Unavailable):
                await old.execute(order("3"))
        await until(lambda: is_in_step(url))
        await old.execute(order("3"))
        assert await old.ask(OrderCount()) == 3


async def test_a_paused_view_is_left_behind_and_workers_close_the_gap(url: str) -> None:
    async with in_step.open(url) as app, store_at(url).views(in_step=True) as views:
        await app.execute(order("1"))
        await views.pause(SHAPE, PAUSE)
        receipt = await app.execute(order("2"))
        dear = await app.execute(order("3", price="2000.00"))
        with pytest.raises(NotCaughtUp, match="it is paused since 2026"):
            await app.ask(OrderCount(), after=receipt.token)
        await views.resume(SHAPE)
        await asyncio.sleep(0.01)  # a snapshot of this turn may serve one more query
        assert await app.ask(OrderById(order_id="2"), after=receipt.token) is not None
        with pytest.raises(NotCaughtUp, match='a dead letter, event 3, holds back its key "3"'):
            await app.ask(OrderCount(), after=dear.token)
        with pytest.raises(ProjectionFailed, match='a dead letter holds back its key "3"'):
            await app.execute(ShipOrder(order_id="3"))
        await app.execute(ShipOrder(order_id="2"))
        assert [row.status for row in await app.ask(AllOrders())] == ["placed", "shipped"]


async def test_letters_from_before_it_joined_refuse_what_touches_them_until_they_are_settled(url: str) -> None:
    async with following.open(url) as app:
        await app.execute(order("1"))
        await app.execute(order("2", price="2000.00"))
    async with mended.open(url, projectors=False) as app:
        await app.execute(order("3"))
    async with in_step.open(url) as app:
        await until(lambda: is_in_step(url))
        with pytest.raises(ProjectionFailed, match='holds back its key "2"'):
            await app.execute(ShipOrder(order_id="2"))
        await app.execute(ShipOrder(order_id="1"))
        async with store_at(url).views(in_step=True) as views:
            [number] = [one.number for one in await views.generations(SHAPE)]
            [held] = await views.held_back(SHAPE, number)
            await Repair(mended.folds[0], app.log, views, number).retry(held.hold)
        await app.execute(ShipOrder(order_id="2"))
        statuses = {row.order_id: row.status for row in await app.ask(AllOrders())}
        assert statuses == {"1": "shipped", "2": "shipped", "3": "placed"}


async def test_a_query_reads_views_in_step_beside_views_that_follow(url: str) -> None:
    async with mixed.open(url) as app:
        for number in range(5):
            receipt = await app.execute(order(f"{number}"))
            assert await app.ask(Both(), after=receipt.token) == (number + 1, number + 1)
        assert {standing.view: standing.lag.events for standing in await app.standings()} == {
            "OrderSummary": 0,
            "Spending": 0,
        }


async def test_only_on_sqlite_they_are_in_two_places(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    async with mixed.open(f"sqlite:///{path}") as app:
        receipt = await app.execute(order("1"))
        await app.caught_up(receipt.token)
    views = SqliteStore(path).views_path
    for file, view, other in ((path, "OrderSummary", "Spending"), (views, "Spending", "OrderSummary")):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute(f"SELECT count(*) FROM {view}").fetchone() == (1,)
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                connection.execute(f"SELECT * FROM {other}")


async def test_names_that_a_log_has_itself_are_refused_where_a_view_is_kept_in_step(tmp_path: Path) -> None:
    async with store_at(f"sqlite:///{tmp_path}/shop.db").log():
        pass
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        rows = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    taken = [name for (name,) in rows if not name.startswith(("diptych_", "sqlite_"))]
    assert {"event", "ledger", "log"} < set(taken)
    for name in (*taken, "Event"):

        class Taken(View, key="order_id", name=name):
            order_id: str

        def placed(row: Taken | None, event: OrderPlaced) -> Taken:
            raise NotImplementedError

        placed.__annotations__.update(row=Taken | None, **{"return": Taken})
        for mode in ("sync", "async"):
            projection = Projection(Taken, mode=mode)
            projection.on(placed)
            if mode == "async":
                BoundedContext("shop", projections=[projection])
            else:
                with pytest.raises(ContextError, match=f"has the name '{name}', and is kept in step with the log"):
                    BoundedContext("shop", projections=[projection])


async def test_projectors_rest_while_appends_keep_a_view_in_step(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_step.open(url) as app:
        await app.execute(order("1"))
        await asyncio.sleep(1.2)  # two looks
        steps: list[str] = []

        async def step(self: Projector) -> bool:
            steps.append("step")
            raise NotImplementedError

        monkeypatch.setattr(Projector, "step", step)
        for number in range(2, 30):
            await app.execute(order(f"{number}"))
            await asyncio.sleep(0.02)
        assert steps == []
        assert await app.ask(OrderCount()) == 29
