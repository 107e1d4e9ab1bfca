"""The memory of a server that has nothing to do: `diptych serve`, a moment after it is ready.

Measured: MiB that its process holds, of an SQLite store and of one on PostgreSQL; and, to inform, that of the process
which projects for it. Target: docs/performance.md.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.harness import DIPTYCH, Bench, Contender, Goal, Settings
from bench.places import POSTGRES, SQLITE, Place, made, no_postgres
from bench.processes import family, memory, serving

A_MOMENT = 2.0


def prepare(place: Place, _: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """A new server each time."""

    def ours(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            asyncio.run(made(url))
            with serving("--store", url) as process:
                time.sleep(A_MOMENT)
                server, projector = [memory(one, "VmRSS") for one in family(process)]
        return {"server": server, "projector": projector}

    goals = [
        Goal(f"idle server on {place.name}", "MiB", "server", reach=80, at_most=True),
        Goal(f"its projecting process on {place.name}", "MiB", "projector"),
    ]
    return [Contender(DIPTYCH, ours)], goals


BENCHES = (
    Bench("memory", "a server with nothing to do", partial(prepare, SQLITE)),
    Bench("memory-postgres", "the same on PostgreSQL", partial(prepare, POSTGRES), no_postgres),
)
