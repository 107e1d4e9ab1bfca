"""A process that takes the write lock of a log in the middle of an append of its own, and keeps it.

Run as `python -m tests.faults.holder PATH EVENTS`: appends as the engine does, and stops between the writing of the
events and the commit. It prints a line then, and goes on as it is told: `commit`, `roll back`, or killed.
"""

import asyncio
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

from diptych.log import Verdicts
from diptych.stores.sqlite import log as sqlite_log
from tests.faults.tools import new_append, opened_log


class RolledBackError(Exception):
    """Raised in the middle of an append, so that the engine rolls it back."""


def tell(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main(path: Path, events: int) -> None:
    room: Any = sqlite_log
    write = room.write

    def write_and_wait(writer: sqlite3.Connection, verdicts: Verdicts, *rest: Any) -> None:
        write(writer, verdicts, *rest)
        tell({"holds": [event.position for event in verdicts.events]})
        if sys.stdin.readline().strip() != "commit":
            raise RolledBackError

    room.write = write_and_wait
    async with opened_log(path) as log:
        try:
            outcome = await log.append(new_append("held-1", events=events, command_id="held"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            tell({"failed": repr(error)})
        else:
            tell({"position": outcome.position})


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
