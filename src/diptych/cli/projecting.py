"""The process that `diptych serve` has its projections run in: `python -m diptych.cli.projecting`.

It is not for people. It is told its work in the first line of its stdin, as JSON, and runs while that is open; whatever
goes wrong at its start it says itself.
"""

import asyncio
import logging
import sys

import msgspec

from diptych.cli.spoken import spoken
from diptych.cli.target import context_at
from diptych.cli.work import Work
from diptych.stores import store_at
from diptych.worker import projectors_beside, stay, words_to_parent


async def project(work: Work, told: int) -> None:
    """Keeps every view of the context up to date, or fills what is rebuilt, until the process is to end."""
    jobs = context_at(work.target).jobs(work.projections)
    if work.rebuilds:
        jobs = [job._replace(number=work.rebuilds[job.view]) for job in jobs if job.view in work.rebuilds]
    async with projectors_beside(store_at(work.store), jobs, work.lease):
        await stay(told)


def main() -> int:
    """Runs until the end, and gives the exit code."""
    told = words_to_parent()  # before the context's own code, which may print
    work = msgspec.json.decode(sys.stdin.buffer.readline(), type=Work)
    log_as(work)
    return spoken(lambda: asyncio.run(project(work, told)))


def log_as(work: Work) -> None:
    """As the server does, beside which it projects; a rebuild does without the server's extra."""
    if work.rebuilds:
        logging.basicConfig(level=work.log_level.upper(), format="%(message)s")
        return
    from diptych.http import configure_logging  # noqa: PLC0415 - only a server has it

    configure_logging(level=work.log_level.upper())


if __name__ == "__main__":
    sys.exit(main())
