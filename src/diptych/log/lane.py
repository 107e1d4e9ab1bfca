"""Group commit: while one commit is in flight, waiting appends gather; the next commit carries all of them.

Nothing waits for a timer: a commit starts as soon as the one before it has ended, with whatever is there by then. Where
the one before carried several appends, the event loop turns once more first, so that requests that have come in
meanwhile are in the group; a lone client never waits for that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from diptych.errors import DiptychError, Unavailable
from diptych.log.events import Append, Outcome
from diptych.log.observer import UNOBSERVED, LogObserver

Commit = Callable[[Sequence[Append]], Awaitable[Sequence[Outcome | DiptychError]]]

WAITING_APPENDS = 10_000
"""Appends that may wait for the commit in flight; one more is refused, so that memory and waiting stay bounded."""

WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of event data that may wait. A single append may be larger: it waits alone."""


class Lane:
    """The one way into a log from this process: appends are committed in groups, in order of arrival.

    A group carries everything that waits, so nobody waits behind more than the commit in flight and shares the next.
    It belongs to the event loop of its first append, which is asked for only then: to ask costs a call of the system.

    A caller that is cancelled while it waits may still find its append kept: the command id tells.
    """

    def __init__(self, commit: Commit, observer: LogObserver = UNOBSERVED) -> None:
        self._commit = commit
        self._observer = observer
        self._waiting: list[tuple[Append, asyncio.Future[Outcome]]] = []
        self._waiting_bytes = 0
        self._running: asyncio.Task[None] | None = None
        self._in_company = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._apart: set[asyncio.Task[Outcome | DiptychError]] = set()

    async def append(self, append: Append) -> Outcome:
        """Commits the append with others. Raises what the commit answers for it, or Unavailable: too many wait."""
        size = sum([len(event.data) for event in append.events])
        if self._waiting and (len(self._waiting) >= WAITING_APPENDS or self._waiting_bytes + size > WAITING_BYTES):
            raise Unavailable(f"{len(self._waiting):,} appends are waiting for the log already; try again in a moment.")
        loop = self._loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((append, answer))
        self._waiting_bytes += size
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await answer

    async def alone(self, commit: Callable[[], Awaitable[Outcome | DiptychError]]) -> Outcome:
        """Makes a commit that is no group, between two groups: it waits for the one in flight, the next waits for it.

        It is made to its end, also where its caller goes away. Raises what it answers.
        """
        task = asyncio.get_running_loop().create_task(self._alone(commit))
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)
        answer = await asyncio.shield(task)
        if isinstance(answer, Outcome):
            return answer
        raise answer

    async def close(self) -> None:
        """Waits until everything that was taken in is answered."""
        while waiting := [*self._apart, *([] if self._running is None else [self._running])]:
            await asyncio.wait(waiting)

    async def _alone(self, commit: Callable[[], Awaitable[Outcome | DiptychError]]) -> Outcome | DiptychError:
        async with self._turn:
            began = perf_counter()
            try:
                return await commit()
            except DiptychError as error:
                return error
            except Exception as error:  # noqa: BLE001 - as for a group
                return _failed(error)
            finally:
                self._observer.committed(1, perf_counter() - began, len(self._waiting))

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._in_company:  # who is on the way in this turn of the loop comes along
                    await asyncio.sleep(0)
                async with self._turn:
                    await self._commit_waiting()
        finally:
            self._running = None

    async def _commit_waiting(self) -> None:
        group, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._in_company = len(group) > 1
        began = perf_counter()
        try:
            answers = await self._commit([append for append, _ in group])
        except DiptychError as error:
            answers = [error] * len(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller has to hear of it
            answers = [_failed(error)] * len(group)
        self._observer.committed(len(group), perf_counter() - began, len(self._waiting))
        for (_, future), answer in zip(group, answers, strict=True):
            _resolve(future, answer)


async def in_halves(group: Sequence[Append], commit: Commit) -> Sequence[Outcome | DiptychError]:
    """Commits a group that cannot be kept as a whole: each half by itself, so that halves of halves find out why.

    Whoever is refused has an answer of its own, and the others are kept.
    """
    middle = len(group) // 2
    answers: list[Outcome | DiptychError] = []
    for half in (group[:middle], group[middle:]):
        try:
            answers += await commit(half)
        except DiptychError as error:
            answers += [error] * len(half)
        await asyncio.sleep(0)  # where a commit waits for nothing, whoever else runs here gets a turn
    return answers


def _failed(error: Exception) -> Unavailable:
    return Unavailable(f"The commit failed: {error!r}")


def _resolve(future: asyncio.Future[Outcome], answer: Outcome | DiptychError) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(answer, Outcome):
        future.set_result(answer)
    else:
        future.set_exception(answer)
