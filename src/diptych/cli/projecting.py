"""The process that `diptych serve` has its projections run in: `python -m diptych.cli.projecting`.

It is not for people. It is told its work in the first line of its stdin, as JSON, and runs while that is open; whatever
goes wrong at its start it says itself.
"""

import asyncio
import sys
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from diptych.cli.spoken import spoken
from diptych.cli.target import context_at
from diptych.http import configure_logging
from diptych.read import ProjectionSettings
from diptych.stores import store_at
from diptych.worker import projectors_beside, stay, words_to_parent


class Work(msgspec.Struct, frozen=True):
    """Which projections run where, and how."""

    target: str
    store: str
    log_level: str
    projections: Mapping[str, ProjectionSettings]
    lease: timedelta


async def project(work: Work, told: int) -> None:
    """Keeps every view of the context up to date until the process is to end."""
    context = context_at(work.target)
    async with projectors_beside(store_at(work.store), context.jobs(work.projections), work.lease):
        await stay(told)


def main() -> int:
    """Runs until the end, and gives the exit code."""
    told = words_to_parent()  # before the context's own code, which may print
    work = msgspec.json.decode(sys.stdin.buffer.readline(), type=Work)
    configure_logging(level=work.log_level.upper())
    return spoken(lambda: asyncio.run(project(work, told)))


if __name__ == "__main__":
    sys.exit(main())
