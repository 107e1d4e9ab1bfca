"""Keeps a child process running: what it does is its own affair, and that it is done is looked after here.

The child says `ready` on its stdout when it is at work, and ends when its stdin does, so it does not outlive its
parent, however that dies.
"""

import asyncio
import logging
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

log = logging.getLogger(__name__)

READY = b"ready\n"

STEADY = timedelta(seconds=10)
"""A child that ran so long is started again at once; one that did not, after a wait that doubles each time."""

FIRST_WAIT = timedelta(milliseconds=100)
LONGEST_WAIT = timedelta(seconds=30)

PATIENCE = timedelta(seconds=10)
"""How long a child may take to end after its stdin has, before it is killed."""


class ChildFailed(Exception):
    """The child ended before it was ever at work; it has said why itself. `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"it ended with exit code {code}")
        self.code = code


class Supervisor:
    """One child process, started again whenever it ends. It belongs to the event loop that it was started in.

    `told` is written to the stdin of each child that is started; what it may know, and others may not, goes in there.
    """

    def __init__(self, what: str, command: Sequence[str], told: bytes = b"") -> None:
        self._what = what
        self._command = command
        self._told = told
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._wait = FIRST_WAIT
        self.obstacle: str | None = f"{what} is starting"

    async def start(self) -> None:
        """Starts the child and waits until it is at work. Raises ChildFailed where it never gets there."""
        code = await self._spawn()
        if code is not None:
            raise ChildFailed(code)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Has the child end, and waits for that. It may be stopped wherever it is."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self._process is not None:
            await _end(self._process)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            assert self._process is not None  # noqa: S101 - it was started
            code: int | None = await self._process.wait()
            if loop.time() - began > STEADY.total_seconds():
                self._wait = FIRST_WAIT
            while code is not None:
                self.obstacle = f"{self._what} ended with exit code {code} and is started again"
                log.error("%s", self.obstacle)
                await asyncio.sleep(self._wait.total_seconds())
                self._wait = min(self._wait * 2, LONGEST_WAIT)
                code = await self._spawn()

    async def _spawn(self) -> int | None:
        """Starts the child; None when it is at work, its exit code if it ended before."""
        # A session of its own: Ctrl-C in a terminal is for the parent to understand.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        self._process.stdin.write(self._told)
        if await self._process.stdout.readline() != READY:
            return await self._process.wait()
        self.obstacle = None
        return None


async def _end(process: Process) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe
    assert process.stdout is not None  # noqa: S101 - a pipe
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE.total_seconds())
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    await process.stdout.read()  # to its end, or the pipe outlives the event loop
