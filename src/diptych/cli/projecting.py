"""The process that `diptych serve` has its projections run in: `python -m diptych.cli.projecting TARGET STORE`.

It is not for people. It runs while its stdin is open, and whatever goes wrong at its start it says itself.
"""

import asyncio
import sys

from diptych.cli.main import spoken
from diptych.cli.target import context_at
from diptych.http import configure_logging
from diptych.stores import store_at
from diptych.worker import projectors_beside, stay


async def project(target: str, store: str) -> None:
    """Keeps every view of the context up to date until the process is to end."""
    context = context_at(target)
    async with projectors_beside(store_at(store), context.folds):
        await stay()


def main(target: str, store: str) -> int:
    """Runs until the end, and gives the exit code."""
    configure_logging()
    return spoken(lambda: asyncio.run(project(target, store)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
