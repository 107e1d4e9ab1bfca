"""A bell: wakes those who wait for a position, in whichever thread's event loop they wait. No clock, no I/O."""

import asyncio
import threading
from datetime import timedelta
from typing import NamedTuple


class _Waiter(NamedTuple):
    position: int
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Future[None]


class Bell:
    """Rung with a position when everything up to it can be read. Safe to ring and to wait on from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: list[_Waiter] = []
        self._position = 0

    @property
    def position(self) -> int:
        """The highest position rung, and not taken back."""
        return self._position

    def ring(self, position: int) -> None:
        """Wakes everyone who waits for this position or an earlier one."""
        with self._lock:
            self._position = max(self._position, position)
            if not self._waiters:
                return
            due = [waiter for waiter in self._waiters if waiter.position <= position]
            if not due:
                return
            self._waiters = [waiter for waiter in self._waiters if waiter.position > position]
        for waiter in due:
            try:
                waiter.loop.call_soon_threadsafe(_wake, waiter.woken)
            except RuntimeError:  # its loop has ended, and nobody waits there any more
                continue

    def unring(self, position: int, to: int) -> None:
        """Takes back that this position was rung, if none was since: the log has lost its end, and ends at `to` now."""
        with self._lock:
            if self._position == position:
                self._position = to

    async def reached(self, position: int, timeout: timedelta) -> bool:
        """Waits until the position is rung, or the time is over; says which."""
        if self._position >= position:
            return True
        loop = asyncio.get_running_loop()
        waiter = _Waiter(position, loop, loop.create_future())
        with self._lock:
            if self._position >= position:
                return True
            self._waiters.append(waiter)
        timer = loop.call_later(timeout.total_seconds(), _wake, waiter.woken)
        try:
            await waiter.woken
        finally:
            timer.cancel()
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        return self._position >= position


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
