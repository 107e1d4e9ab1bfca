"""Turns: first come, first served for each key, and nobody who went away keeps a key."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from diptych.write.turns import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_first_goes_first() -> None:
    turns, order = Turns(), list[int]()

    async def take(number: int) -> None:
        await turns.take("k")
        order.append(number)
        await asyncio.sleep(0)
        turns.give("k")

    await asyncio.gather(*[take(number) for number in range(50)])
    assert order == list(range(50))
    assert turns._queues == {}


async def test_a_key_is_held_by_one_at_a_time_and_keys_do_not_wait_for_each_other() -> None:
    turns = Turns()
    await turns.take("a")
    waiting = asyncio.create_task(turns.take("a"))
    await settle()
    assert not waiting.done()
    await asyncio.wait_for(turns.take("b"), 1)
    turns.give("a")
    await asyncio.wait_for(waiting, 1)
    turns.give("a")
    turns.give("b")
    assert turns._queues == {}


async def test_a_turn_that_was_given_in_the_moment_of_the_cancellation_is_passed_on() -> None:
    turns = Turns()
    await turns.take("k")
    first = asyncio.create_task(turns.take("k"))
    second = asyncio.create_task(turns.take("k"))
    await settle()
    turns.give("k")
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    turns.give("k")
    assert turns._queues == {}


@given(
    plan=st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 3)), max_size=15), early=st.booleans()
)
async def test_whoever_is_cancelled_everyone_else_has_their_turn(
    plan: list[tuple[str, bool, int]], *, early: bool
) -> None:
    turns, inside, served = Turns(), dict.fromkeys("ab", 0), list[int]()

    async def work(number: int, key: str) -> None:
        await turns.take(key)
        try:
            inside[key] += 1
            assert inside[key] == 1
            await asyncio.sleep(0)
            served.append(number)
        finally:
            inside[key] -= 1
            turns.give(key)

    tasks = [asyncio.create_task(work(number, key)) for number, (key, _, _) in enumerate(plan)]
    if not early:
        await asyncio.sleep(0)
    for task, (_, cancelled, wait) in zip(tasks, plan, strict=True):
        for _ in range(wait):
            await asyncio.sleep(0)
        if cancelled:
            task.cancel()
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    for number, ((_, cancelled, _), answer) in enumerate(zip(plan, answers, strict=True)):
        assert number in served if answer is None else cancelled and isinstance(answer, asyncio.CancelledError)
    for key in "ab":
        of_key = [number for number in served if plan[number][0] == key]
        assert of_key == sorted(of_key)
    assert turns._queues == {}
