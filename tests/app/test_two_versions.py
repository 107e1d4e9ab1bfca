"""Two versions of a projection on one store: each fills the view for itself, and neither holds up the other."""

from pathlib import Path

from diptych import BoundedContext, Projection, Query, View, Views
from tests.app.shop import OrderPlaced, order, orders


def version(number: int) -> tuple[BoundedContext, type[Query[int]]]:
    class OrderCount(View, key="order_id"):
        order_id: str

    class HowMany(Query[int]):
        pass

    counts = Projection(OrderCount, version=number)

    @counts.on
    def counted(row: OrderCount | None, event: OrderPlaced) -> OrderCount:
        return OrderCount(order_id=event.order_id)

    async def how_many(query: HowMany, views: Views) -> int:
        return await views[OrderCount].count()

    return BoundedContext("shop", aggregates=[orders], projections=[counts], queries=[how_many]), HowMany


async def test_an_older_version_goes_on_projecting_and_answering_beside_a_newer_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    (old, old_query), (new, new_query) = version(1), version(2)
    async with old.open(url) as old_app:
        for number in range(50):
            await old_app.execute(order(f"{number}"))
        assert await old_app.ask(old_query(), after=await old_app.token()) == 50
        async with new.open(url) as new_app:
            for number in range(50, 150):
                receipt = await old_app.execute(order(f"{number}"))
                assert await new_app.ask(new_query(), after=receipt.token) == number + 1
                assert await old_app.ask(old_query(), after=receipt.token) == number + 1
        assert await old_app.ask(old_query(), after=await old_app.token()) == 150
