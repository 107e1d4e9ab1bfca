import asyncio

import pytest

from tests.app.shop import OrderCount, order, shop
from tests.cli.running import Diptych


def test_a_view_is_split_and_merged(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "divide", "OrderSummary", "--segments", "4")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "OrderSummary has 4 segments now, at event 3.\n"

    [merged] = diptych("projection", "divide", "OrderSummary", "--segments", "1", "--json").lines()
    assert merged == {"view": "OrderSummary", "generation": 1, "segments": 1, "position": 3}


def test_it_is_divided_while_a_worker_projects_it(diptych: Diptych, store: str) -> None:
    async def at_work() -> int:
        async with shop.open(store) as app:
            ran = await asyncio.to_thread(diptych, "projection", "divide", "OrderSummary", "--segments", "3")
            assert ran.code == 0, ran.err
            for number in range(20):
                await app.execute(order(f"more-{number}"))
            return await app.ask(OrderCount(), after=await app.token())

    assert asyncio.run(at_work()) == 22


def test_a_paused_view_is_not_divided(diptych: Diptych, store: str) -> None:
    diptych("projection", "pause", "OrderSummary")
    ran = diptych("projection", "divide", "OrderSummary", "--segments", "2")

    assert ran.code == 1
    assert "OrderSummary is paused since" in ran.err


@pytest.mark.parametrize("segments", ["0", "257", "many"])
def test_a_number_that_makes_no_sense_ends_with_2(diptych: Diptych, store: str, segments: str) -> None:
    assert diptych("projection", "divide", "OrderSummary", "--segments", segments).code == 2
