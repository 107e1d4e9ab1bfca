"""What is projected through chaos: a context whose views tell all that was done to them, and a process of workers.
workers.

`python -m tests.faults.chaos URL mended|broken` projects until its stdin ends. Broken, it cannot apply some of the
events.
"""

import asyncio
import logging
import sys
from datetime import timedelta
from zlib import crc32

from diptych import BoundedContext, Event, Projection, View
from diptych.log import Recorded
from diptych.read import ProjectionSettings
from diptych.stores import store_at
from diptych.worker import projectors_beside

LEASE = timedelta(seconds=1)
KEYS = 40
GROUPS = 5


class Ticked(Event):
    """Something happened to a key for the nth time; every view counts it for the key or the groups."""

    key: str
    n: int


class Trail(View, key="key"):
    """Every event of a key, by its position, in the order in which it was applied."""

    key: str
    seen: list[int]


class Sum(View, key="group", index=("total",)):
    """How many events a group has had, of how many keys; each event goes to two groups."""

    group: str
    events: int
    total: int


class Last(View, key="key"):
    """The newest event of a key; it is gone after every tenth."""

    key: str
    n: int


def poisonous(event: Ticked) -> bool:
    """Whether broken code cannot apply the event: some of the third of the keys."""
    return crc32(f"{event.key}-{event.n}".encode()) % 53 == 0


def groups(event: Ticked) -> list[str]:
    """The groups of an event, each once."""
    number = crc32(event.key.encode())
    return [f"g{number % GROUPS}", f"h{number % (GROUPS + 2)}"]


def context(*, mended: bool) -> BoundedContext:
    """The same context before and after its handlers were mended."""
    trails, sums, lasts = Projection(Trail), Projection(Sum), Projection(Last)

    @trails.on
    def trailed(row: Trail | None, event: Recorded[Ticked]) -> Trail:
        if not mended and poisonous(event.event):
            raise RuntimeError(f"cannot follow {event.event.key} to {event.event.n}")
        return Trail(key=event.event.key, seen=[*(row.seen if row else []), event.position])

    @sums.on(keys=groups)
    def summed(row: Sum | None, event: Ticked, group: str) -> Sum:
        if not mended and poisonous(event) and group.startswith("h"):
            raise RuntimeError(f"cannot add {event.n} to {group}")
        return Sum(group=group, events=(row.events if row else 0) + 1, total=(row.total if row else 0) + event.n)

    @lasts.on
    def newest(row: Last | None, event: Ticked) -> Last | None:
        return None if event.n % 10 == 0 else Last(key=event.key, n=event.n)

    return BoundedContext("chaos", projections=[trails, sums, lasts])


MENDED = context(mended=True)
BROKEN = context(mended=False)

SETTINGS = {
    "Trail": ProjectionSettings(batch=50, segments=4),
    "Sum": ProjectionSettings(batch=50, segments=2),
    "Last": ProjectionSettings(batch=20),
}


async def main(url: str, *, mended: bool) -> None:
    """Projects until there is nobody any more."""
    jobs = (MENDED if mended else BROKEN).jobs(SETTINGS)
    async with projectors_beside(store_at(url), jobs, LEASE):
        sys.stdout.write('{"ready": true}\n')
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(sys.argv[1], mended=sys.argv[2] == "mended"))
