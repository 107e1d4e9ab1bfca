"""Information, without a target: what a snapshot saves the first command on an aggregate with a long life.

Measured: milliseconds of a command that adds an item to an order of about 10000 events, by a new opening of the context
each time, from a snapshot that is 50 to 70 events old; the median of many, on SQLite.
Beside: the same without snapshots.
"""

import asyncio
import copy
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.engine import file_url, fill_streams, order_id_of
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings
from bench.shop import add_to_order, orders
from diptych import BoundedContext, every, never
from diptych.write import SnapshotPolicy

EVENTS = 10_000
AGE = 50
WITHOUT = "without snapshots"


def prepare(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """First commands after opening."""
    times = settings.sized(20, 5)

    def contender(name: str, policy: SnapshotPolicy[object]) -> Contender:
        return Contender(name, lambda folder: {RATE: asyncio.run(_first_commands(folder, times, policy))})

    goal = Goal(f"first command on {EVENTS} events", "ms", against=WITHOUT, at_most=True)
    return [contender(DIPTYCH, every(100)), contender(WITHOUT, never)], [goal]


async def _first_commands(folder: Path, times: int, policy: SnapshotPolicy[object]) -> float:
    aggregate = copy.copy(orders)
    aggregate.snapshots = policy
    context, path = BoundedContext("shop", aggregates=[aggregate]), folder / "shop.db"
    await fill_streams(file_url(path), 1, EVENTS - AGE - 1)
    for commands in (1, AGE):  # with the first of them the snapshot is due
        await _commands(context, path, commands)
    return median([await _commands(context, path, 1) for _ in range(times)]) * 1000


async def _commands(context: BoundedContext, path: Path, commands: int) -> float:
    """Seconds that so many commands take in a new opening, without that of the context."""
    async with context.open(file_url(path), projectors=False) as app:
        start = time.perf_counter()
        for _ in range(commands):
            await app.execute(add_to_order(order_id_of(0)))
        return time.perf_counter() - start


BENCHES = (Bench("snapshots", f"a command on an aggregate of {EVENTS} events", prepare),)
