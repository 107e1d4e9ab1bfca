"""Deadlines with one timer: they end what takes too long, and nothing else."""

import asyncio
from datetime import timedelta

import pytest

from diptych.app.deadlines import Deadlines

SOON = timedelta(milliseconds=30)


async def test_what_takes_too_long_is_a_timeout() -> None:
    deadlines = Deadlines()

    with pytest.raises(TimeoutError), deadlines.within(SOON):
        await asyncio.sleep(5)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_what_is_done_in_time_is_left_alone() -> None:
    deadlines = Deadlines()

    for _ in range(3):
        with deadlines.within(SOON):
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)


async def test_an_error_of_its_own_goes_through() -> None:
    with pytest.raises(ValueError, match="mine"), Deadlines().within(SOON):
        raise ValueError("mine")


async def test_somebody_else_s_cancellation_stays_one() -> None:
    async def work() -> None:
        with Deadlines().within(timedelta(seconds=5)):
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_of_many_has_its_own() -> None:
    deadlines = Deadlines()

    async def work(seconds: float) -> bool:
        try:
            with deadlines.within(timedelta(seconds=seconds)):
                await asyncio.sleep(0.2)
        except TimeoutError:
            return False
        return True

    assert await asyncio.gather(*[work(seconds) for seconds in (0.03, 5, 0.1, 5)]) == [False, True, False, True]
