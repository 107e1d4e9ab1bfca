"""What is projected through faults: a context whose views tell all that was done to them, and processes on it.

`python -m tests.faults.chaos project URL CODE` runs a worker until its stdin ends; `write URL CODE SEED` appends events
of random keys, some on a version that others have overtaken. The code is `mended`, `broken` (it cannot apply some
events) or `async` (as mended, with no view in step with the log).
"""

import asyncio
import logging
import os
import random
import sys
from contextlib import suppress
from datetime import timedelta
from zlib import crc32

from diptych import BoundedContext, DiptychError, Event, Projection, View
from diptych.log import EventLog, NewEvent, Recorded, StreamAt
from diptych.read import ProjectionSettings
from diptych.stores import store_at
from diptych.worker import projectors_beside
from tests.faults.tools import new_append

LEASE = timedelta(seconds=1)
KEYS = 40
GROUPS = 5


class Ticked(Event):
    """Something happened to a key for the nth time; every view counts it for the key or the groups."""

    key: str
    n: int


class Dull(Event):
    """Something that no view cares for."""


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


class Pulse(View, key="key"):
    """How often a key ticked, and where the last time, in step with the log."""

    key: str
    events: int
    last: int


def poisonous(event: Ticked) -> bool:
    """Whether broken code cannot apply the event."""
    return crc32(f"{event.key}-{event.n}".encode()) % 53 == 0


def groups(event: Ticked) -> list[str]:
    """The groups of an event, each once."""
    number = crc32(event.key.encode())
    return [f"g{number % GROUPS}", f"h{number % (GROUPS + 2)}"]


def context(*, mended: bool = True, in_step: bool = True) -> BoundedContext:
    """The same context before and after its handlers were mended."""
    trails, sums, lasts = Projection(Trail), Projection(Sum), Projection(Last)
    pulses = Projection(Pulse, mode="sync")

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

    @pulses.on
    def pulsed(row: Pulse | None, event: Recorded[Ticked]) -> Pulse:
        return Pulse(key=event.event.key, events=(row.events if row else 0) + 1, last=event.position)

    return BoundedContext("chaos", projections=[trails, sums, lasts, *([pulses] if in_step else [])])


MENDED = context()
BROKEN = context(mended=False)
ASYNC = context(in_step=False)
CODE = {"mended": MENDED, "broken": BROKEN, "async": ASYNC}

SETTINGS = {
    "Trail": ProjectionSettings(batch=50, segments=4),
    "Sum": ProjectionSettings(batch=50, segments=2),
    "Last": ProjectionSettings(batch=20),
}


def ticked(key: str, n: int) -> NewEvent:
    return MENDED.catalogue.encode(Ticked(key=key, n=n), os.urandom(16))[0]


class Ticker:
    """Appends events of random keys, a few at a time. An outcome that is not known is asked for until it is."""

    def __init__(self, log: EventLog, seed: int) -> None:
        self._log = log
        self._dice = random.Random(seed)
        self._counts = dict.fromkeys([f"k{number}" for number in range(KEYS)], 0)

    async def tick(self, most: int = 5, *, racing: bool = False) -> int:
        """Appends at most so many events of one key; how many. Racing, on a version that may have been overtaken."""
        key = self._dice.choice(list(self._counts))
        number = self._dice.randint(1, most)
        append = new_append(f"tick-{key}", command_id=os.urandom(8).hex())
        if racing and self._dice.random() < 0.3:
            append = append._replace(condition=StreamAt(self._counts[key]))
        first = self._counts[key] + 1
        self._counts[key] += number
        append = append._replace(events=[ticked(key, n) for n in range(first, first + number)])
        while True:
            try:
                await self._log.append(append)
            except DiptychError as error:
                if error.status < 500:  # somebody else was first
                    return 0
                await asyncio.sleep(0.05)
            else:
                return number


async def project(url: str, code: str) -> None:
    """Projects until there is nobody any more."""
    async with projectors_beside(store_at(url), CODE[code].jobs(SETTINGS), LEASE):
        await until_told()


async def write(url: str, code: str, seed: int) -> None:
    """Appends until there is nobody any more, in bursts."""
    async with CODE[code].log(store_at(url)) as log:
        ticker, dice = Ticker(log, seed), random.Random(seed)

        async def tick() -> None:
            while True:
                await ticker.tick(racing=True)
                await asyncio.sleep(dice.choice((0, 0.005, 0.03)))

        ticking = asyncio.create_task(tick())
        await until_told()
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking


async def until_told() -> None:
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    _, what, url, code, *seed = sys.argv
    asyncio.run(project(url, code) if what == "project" else write(url, code, int(seed[0])))
