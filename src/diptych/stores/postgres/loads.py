"""Loads that wait at the same time share one round trip. No I/O but what it is given to do."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from diptych.log import StreamEvents


class Wanted(NamedTuple):
    """A stream's events over a version."""

    stream: str
    after: int


LoadMany = Callable[[Sequence[Wanted]], Awaitable[Mapping[Wanted, StreamEvents]]]

ROUND_STREAMS = 256
"""Streams that one round trip loads at most."""

ROUNDS = 2
"""Round trips at a time, so that a long stream does not hold up all the others."""


class Loads:
    """Gathers the streams that are asked for while others are being loaded.

    What is loaded for a caller is never read before it asked.
    """

    def __init__(self, load_many: LoadMany) -> None:
        self._load_many = load_many
        self._waiting: dict[Wanted, list[asyncio.Future[StreamEvents]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, wanted: Wanted) -> StreamEvents:
        """The events of one stream over a version. Raises what the round trip raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[StreamEvents] = loop.create_future()
        self._waiting.setdefault(wanted, []).append(answer)
        if len(self._running) < ROUNDS:
            task = loop.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await answer

    async def close(self) -> None:
        """Waits until whoever asked is answered."""
        if self._running:
            await asyncio.wait(self._running)

    async def _run(self) -> None:
        while self._waiting:
            round_ = {wanted: self._waiting.pop(wanted) for wanted in list(self._waiting)[:ROUND_STREAMS]}
            try:
                found = await self._load_many(list(round_))
            except Exception as error:  # noqa: BLE001 - whatever it is, everyone who asked has to hear of it
                for answer in _open(round_):
                    answer.set_exception(error)
            else:
                for wanted, answers in round_.items():
                    for answer in _open({wanted: answers}):
                        answer.set_result(found.get(wanted) or StreamEvents((), wanted.after))


def _open(round_: Mapping[Wanted, Sequence[asyncio.Future[StreamEvents]]]) -> list[asyncio.Future[StreamEvents]]:
    """Those who have not gone away meanwhile."""
    return [answer for answers in round_.values() for answer in answers if not answer.done()]
