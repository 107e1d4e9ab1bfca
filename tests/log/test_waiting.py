"""A follower waits by bell and by looks at the log: what it has heard is nothing where the log lost its end."""

import asyncio
from datetime import timedelta

from diptych.log import Bell, wait_past

SOON = timedelta(seconds=10)
NEVER = timedelta(hours=1)


class Log:
    """A log that counts the looks at it."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.looks = 0
        self.bell = Bell()

    async def look(self) -> int:
        self.looks += 1
        return self.head

    async def wait_past(self, position: int, timeout: timedelta, poll: timedelta = NEVER) -> bool:
        return await wait_past(position, timeout, self.bell, self.look, lambda: poll)


async def test_what_is_there_already_is_not_waited_for() -> None:
    log = Log(3)
    assert await log.wait_past(2, timedelta(0))
    assert not await log.wait_past(3, timedelta(0))
    assert log.bell.position == 3


async def test_a_ring_ends_the_wait_without_another_look() -> None:
    log = Log(3)
    waiting = asyncio.create_task(log.wait_past(3, SOON))
    await asyncio.sleep(0.01)
    log.bell.ring(4)
    assert await waiting
    assert log.looks == 1


async def test_without_a_ring_it_looks_again_when_the_bell_is_not_to_be_relied_on_any_longer() -> None:
    log = Log(3)
    waiting = asyncio.create_task(log.wait_past(3, SOON, timedelta(milliseconds=5)))
    await asyncio.sleep(0.02)
    log.head = 4
    assert await asyncio.wait_for(waiting, 1)


async def test_a_bell_that_was_rung_for_events_that_are_lost_wakes_nobody_who_waits_for_others() -> None:
    log = Log(100)
    assert await log.wait_past(0, SOON)
    log.head = 50
    assert not await log.wait_past(50, timedelta(milliseconds=20))
    assert log.looks <= 3
    waiting = asyncio.create_task(log.wait_past(50, SOON))
    await asyncio.sleep(0.01)
    log.head = 51
    log.bell.ring(51)
    assert await asyncio.wait_for(waiting, 1)
    assert log.bell.position == 51
