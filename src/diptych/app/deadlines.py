"""Deadlines of many tasks with one timer: what takes too long is cancelled, a little late rather than at great cost.

`asyncio.timeout` arms and disarms a timer of its own for each, which is dear where nearly none of them fires.
"""

import asyncio
from datetime import timedelta
from types import TracebackType

TICK = 0.025
"""Seconds between two looks at the deadlines: they are kept to that."""


class Deadlines:
    """The deadlines of the event loop that it is made in.

    `asyncio.get_running_loop` asks the system for the process's id each time, so it is asked once.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._open: set[Within] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, time: timedelta) -> "Within":
        """A context whose body raises TimeoutError if it takes longer, in the task that enters it."""
        return Within(self, time.total_seconds())

    def add(self, entered: "Within") -> None:
        """From now on it is looked at."""
        self._open.add(entered)
        if self._timer is None:
            self._timer = self.loop.call_later(TICK, self._look)

    def discard(self, left: "Within") -> None:
        """It is over."""
        self._open.discard(left)

    def _look(self) -> None:
        self._timer = None
        if not self._open:
            return
        now = self.loop.time()
        for entered in [one for one in self._open if one.due <= now]:
            self._open.discard(entered)
            entered.expire()
        self._timer = self.loop.call_later(TICK, self._look)


class Within:
    """One stretch of work with a deadline."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_seconds", "_task", "due")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        loop = self._deadlines.loop
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - whatever has a deadline is done in a task
        self._task = task
        self._cancelling = task.cancelling()
        self.due = loop.time() + self._seconds
        self._deadlines.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.discard(self)
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """The time is over."""
        self._expired = True
        self._task.cancel()
