"""How a follower waits for the log to go on: woken by a bell, which is believed only after a look at the log itself."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from diptych.log.bell import Bell


async def wait_past(
    position: int, timeout: timedelta, bell: Bell, look: Callable[[], Awaitable[int]], poll: Callable[[], timedelta]
) -> bool:
    """As `EventLog.wait_past`, for a log that others append to as well.

    `look` gives the position of the newest event. `poll` is asked before each look how long one may rely on the bell
    after it.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout.total_seconds()
    while True:
        patience, rung = poll(), bell.position
        head = await look()
        if head > position:
            bell.ring(head)
            return True
        if rung > position:  # whoever rings, rings when it can be read, so there was more once
            bell.unring(rung, head)
        left = timedelta(seconds=deadline - loop.time())
        if left <= timedelta(0):
            return False
        if await bell.reached(position + 1, min(left, patience)):
            return True
