"""Loads that wait at the same time share one round trip. No I/O but what it is given to do."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

W = TypeVar("W")
F = TypeVar("F")

ROUND_STREAMS = 256
"""Streams that one round trip loads at most."""

ROUNDS = 2
"""Round trips at a time, so that a long stream does not hold up all the others."""


class Loads(Generic[W, F]):
    """Gathers what is asked for of streams while others are being loaded.

    What is loaded for a caller is never read before it asked. `load_many` gives what it finds, and `nothing` stands for
    what it does not.
    """

    def __init__(self, load_many: Callable[[Sequence[W]], Awaitable[Mapping[W, F]]], nothing: Callable[[W], F]) -> None:
        self._load_many = load_many
        self._nothing = nothing
        self._waiting: dict[W, list[asyncio.Future[F]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, wanted: W) -> F:
        """What is found of one stream. Raises what the round trip raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[F] = loop.create_future()
        self._waiting.setdefault(wanted, []).append(answer)
        if sum([not task.done() for task in self._running]) < ROUNDS:  # one that has ended is among them for a turn
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
                        answer.set_result(found[wanted] if wanted in found else self._nothing(wanted))


def _open(round_: Mapping[W, Sequence[asyncio.Future[F]]]) -> list[asyncio.Future[F]]:
    """Those who have not gone away meanwhile."""
    return [answer for answers in round_.values() for answer in answers if not answer.done()]
