"""A process whose clients call a log at random, and that notes what they called for and were told.

Run as `python -m tests.faults.historian URL NAME CLIENTS CALLS SEED`. It prints a line when it is ready and begins when
it is told to. Each note is pickled to its output before a call is made and after it is answered, so that what is known
of a process that was killed is there.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Iterator
from io import BytesIO

from diptych.stores import store_at
from diptych.testing.log_history import Client, Note


def write(note: Note) -> None:
    os.write(1, pickle.dumps(note))


def notes_in(output: bytes) -> Iterator[Note]:
    """The notes that a process wrote; the last one may be cut off."""
    stream = BytesIO(output)
    while True:
        try:
            yield pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return


async def main(url: str, name: str, clients: int, calls: int, seed: int) -> None:
    async with store_at(url).log() as log:
        os.write(1, b"\n")
        sys.stdin.readline()
        await asyncio.gather(*[Client(f"{name}-{each}", log, seed, write).run(calls) for each in range(clients)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
