"""What tunes a projection reaches its projector, and is refused where there is no such projection."""

from typing import Any

import pytest

from diptych import NotFound
from diptych.http import Gateway
from diptych.log import Page
from diptych.read import ProjectionSettings
from diptych.stores.memory.log import MemoryLog
from tests.app.shop import order, shop

TUNED = {"OrderSummary": ProjectionSettings(batch=2)}


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each reader of the log asked for."""
    asked: list[int] = []
    read = MemoryLog.read

    async def reading(self: MemoryLog, after: int, limit: int, *more: Any) -> Page:
        asked.append(limit)
        return await read(self, after, limit, *more)

    monkeypatch.setattr(MemoryLog, "read", reading)
    return asked


async def test_a_projection_applies_as_many_events_at_a_time_as_it_is_told(limits: list[int]) -> None:
    async with shop.open("memory://", projections=TUNED) as app:
        for number in range(5):
            await app.execute(order(str(number)))
        await app.caught_up(await app.token())

    assert set(limits) == {2}


async def test_the_gateway_hands_on_what_tunes_projections(limits: list[int]) -> None:
    gateway = Gateway(shop, "memory://", projections=TUNED)
    async with gateway.lifespan():
        assert gateway.app is not None
        await gateway.app.execute(order("1"))
        await gateway.app.caught_up(await gateway.app.token())

    assert set(limits) == {2}


@pytest.mark.parametrize("projectors", [True, False])
async def test_a_tuned_projection_that_the_context_does_not_have_is_refused(url: str, *, projectors: bool) -> None:
    with pytest.raises(NotFound, match="no projection 'OrderSumary'; did you mean 'OrderSummary'"):
        async with shop.open(url, projectors=projectors, projections={"OrderSumary": ProjectionSettings()}):
            pytest.fail("it is open")
