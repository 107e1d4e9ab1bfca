"""Turns: who comes first to a key goes first, so that commands for one stream do not race each other in vain."""

import asyncio
from collections import deque


class Turns:
    """A queue for each key that is in use, first come, first served, within one event loop."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, key: str) -> None:
        """Waits for the key. Whoever has taken it gives it back."""
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(key)
            raise

    def give(self, key: str) -> None:
        """Passes the key on to the next in line."""
        queue = self._queues[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._queues[key]
