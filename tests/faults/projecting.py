"""A process that projects the views of the shop until its stdin ends: `python -m tests.faults.projecting URL`."""

import asyncio
import logging
import sys
from datetime import timedelta

from diptych.stores import store_at
from diptych.worker import projectors_beside
from tests.app.shop import shop

LEASE = timedelta(seconds=1)


async def main(url: str) -> None:
    async with projectors_beside(store_at(url), shop.jobs(), LEASE):
        sys.stdout.write('{"ready": true}\n')
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(sys.argv[1]))
