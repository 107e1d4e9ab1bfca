"""Hears what other processes tell of their commits, on a connection of its own, for as long as somebody waits."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from diptych.errors import DiptychError
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import DRIVER_ERRORS, Pool, close, connect

POLL = timedelta(milliseconds=20)
"""How often those who wait look for themselves while nothing proves that notifications arrive."""

POLL_HEARING = timedelta(milliseconds=500)
"""How often they look while notifications arrive: what is lost all the same is found by then."""

PROBE_TIMEOUT = timedelta(seconds=1)
AGAIN = timedelta(milliseconds=100)
RETRY_FIRST = timedelta(milliseconds=50)
RETRY_MOST = timedelta(seconds=5)


class Listener:
    """One LISTEN for an opening. `heard` is called with each word that comes, in the opening's event loop.

    A pooler such as PgBouncer accepts LISTEN and forgets it. So nothing is believed before a word that this process
    sends on another connection has come back.
    """

    def __init__(self, address: Address, pool: Pool, heard: Callable[[str], None]) -> None:
        self._address = address
        self._pool = pool
        self._heard = heard
        self._hearing = False
        self._running: asyncio.Task[None] | None = None

    @property
    def poll(self) -> timedelta:
        """How long one may wait for a word before one looks for oneself. Starts to listen."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
        return POLL_HEARING if self._hearing else POLL

    async def close(self) -> None:
        """Stops listening."""
        while self._running is not None and not self._running.done():
            self._running.cancel()  # again where a step on the way has taken it for its own, as asyncio.wait_for may
            await asyncio.wait([self._running], timeout=AGAIN.total_seconds())

    async def _run(self) -> None:
        pause = RETRY_FIRST
        while True:
            try:
                await self._listen()
                pause = RETRY_FIRST
            except (DiptychError, *DRIVER_ERRORS):
                self._hearing = False
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, RETRY_MOST)

    async def _listen(self) -> None:
        """Listens until the connection is gone."""
        connection = await connect(self._address, "listener")
        gone, proven = asyncio.Event(), asyncio.Event()
        probe = f"probe {secrets.token_hex(8)}"

        def hear(_connection: Any, _pid: int, _channel: str, word: object) -> None:
            if word == probe:
                proven.set()
            else:
                self._heard(str(word))

        def end(_connection: Any) -> None:
            gone.set()

        try:
            connection.add_termination_listener(end)
            await connection.add_listener(self._address.schema, hear)
            sql = self._address.statements("log.sql")["notify"]
            await self._pool.run(lambda other: other.execute(sql, probe))
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_TIMEOUT.total_seconds()):
                    await proven.wait()
                self._hearing = True
            await gone.wait()
        finally:
            self._hearing = False
            await close(connection)
