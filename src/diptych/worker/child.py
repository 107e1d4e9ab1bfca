"""The other end of a Supervisor: a process that says when it is at work, and ends with its parent."""

import asyncio
import os
import signal
import sys

from diptych.worker.supervisor import READY


async def stay() -> None:
    """Says that this process is at work, and returns when it is to end: its stdin has ended, or SIGTERM came."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    parent, told = sys.stdin.fileno(), sys.stdout.fileno()

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
