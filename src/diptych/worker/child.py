"""The other end of a Supervisor: a process that says when it is at work, and ends with its parent."""

import asyncio
import os
import signal
import sys

from diptych.worker.supervisor import READY


def words_to_parent() -> int:
    """The way to the parent, as a descriptor of its own: from now on whatever is printed goes to stderr."""
    told = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return told


async def stay(told: int) -> None:
    """Says that this process is at work, and returns when it is to end: its stdin has ended, or SIGTERM came.

    `told` is what `words_to_parent` gave, before anything could be printed.
    """
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    parent = sys.stdin.fileno()

    def look() -> None:
        if not os.read(parent, 4096):
            over.set()

    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(parent, look)
    os.write(told, READY)
    try:
        await over.wait()
    finally:
        loop.remove_reader(parent)
