"""The bell: it wakes who waits, in whichever thread, and nobody who waits for more."""

import asyncio
import threading
import time
from datetime import timedelta

from diptych.log import Bell

SOON = timedelta(seconds=10)


async def test_what_was_rung_is_reached_at_once() -> None:
    bell = Bell()
    bell.ring(5)
    bell.ring(3)
    assert bell.position == 5
    assert await bell.reached(5, timedelta(0))
    assert not await bell.reached(6, timedelta(0))


async def test_a_ring_wakes_those_who_wait_for_it_or_less() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.reached(position, SOON)) for position in (1, 2, 3)]
    await asyncio.sleep(0)
    bell.ring(2)
    assert await asyncio.gather(*waiting[:2]) == [True, True]
    assert not waiting[2].done()
    bell.ring(3)
    assert await waiting[2]


async def test_what_is_taken_back_is_not_reached_any_more_unless_it_was_rung_again() -> None:
    bell = Bell()
    bell.ring(5)
    bell.unring(5, 2)
    assert bell.position == 2
    assert not await bell.reached(5, timedelta(0))
    bell.ring(3)
    bell.unring(2, 1)
    assert bell.position == 3


async def test_waiting_ends_with_the_time_and_leaves_nothing_behind() -> None:
    bell = Bell()
    begun = time.monotonic()
    assert not await bell.reached(1, timedelta(milliseconds=30))
    assert time.monotonic() - begun >= 0.025
    assert bell._waiters == []


async def test_a_waiter_that_is_cancelled_is_forgotten() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.reached(1, SOON))
    other = asyncio.create_task(bell.reached(1, SOON))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(bell._waiters) == 1
    bell.ring(1)
    assert await other


async def test_nobody_in_any_thread_misses_a_ring() -> None:
    bell, threads, rounds = Bell(), 4, 300
    late: list[int] = []

    def follow() -> None:
        async def follow_all() -> None:
            missed = [position for position in range(1, rounds + 1) if not await bell.reached(position, SOON)]
            late.extend(missed)

        asyncio.run(follow_all())

    followers = [threading.Thread(target=follow) for _ in range(threads)]
    for follower in followers:
        follower.start()
    for position in range(1, rounds + 1):
        bell.ring(position)
        await asyncio.sleep(0)
    await asyncio.gather(*[asyncio.to_thread(follower.join) for follower in followers])
    assert late == []
    assert bell._waiters == []


async def test_what_is_taken_back_is_waited_for_again_unless_it_was_rung_since() -> None:
    bell = Bell()
    bell.ring(5)
    bell.unring(4, 2)
    assert bell.position == 5
    bell.unring(5, 2)
    assert not await bell.reached(3, timedelta(milliseconds=10))
    bell.ring(3)
    assert await bell.reached(3, timedelta(0))


async def test_a_waiter_whose_loop_has_ended_holds_up_no_other() -> None:
    bell = Bell()

    def abandon() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(bell.reached(1, SOON))
        loop.run_until_complete(asyncio.sleep(0.01))
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        loop.close()

    thread = threading.Thread(target=abandon)
    thread.start()
    thread.join()
    waiting = asyncio.create_task(bell.reached(1, SOON))
    await asyncio.sleep(0)
    bell.ring(1)
    assert await waiting
