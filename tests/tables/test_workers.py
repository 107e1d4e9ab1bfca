"""Whoever applies an event, and wherever it crashes: the tables are a fold of the log, each event once."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from diptych.log import EventLog
from diptych.read import (
    Job,
    ViewStore,
)
from tests.read.engine import worker
from tests.tables.checks import applied, check_whole, fold_of, opened, sell
from tests.tables.takings import (
    takings,
)

ROOT = Path(__file__).parents[2]


async def test_two_workers_hand_over_and_apply_every_event_once(url: str) -> None:
    async with takings.open(url, projectors=False) as app, opened(url) as (log, views), opened(url) as (others, theirs):

        async def turns(log: EventLog, views: ViewStore, dice: random.Random) -> None:
            while True:
                async with worker(log, views, job()).at_work():
                    await asyncio.sleep(dice.random() / 2)

        tasks = [
            asyncio.create_task(turns(log, views, random.Random(1))),
            asyncio.create_task(turns(others, theirs, random.Random(2))),
        ]
        await sell(app, [(f"{number % 5}", number) for number in range(400)])
        await applied(app)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await check_whole(app)


def job() -> Job:
    return Job(fold_of())


CRASH = """
import asyncio, os, sys
from diptych.read import table_fold
from tests.tables.takings import takings

left = int(sys.argv[2])

def step():
    global left
    left -= 1
    if left < 0:
        os.write(1, b"crashed")
        os._exit(9)

class Crashing(table_fold.Handlers):
    def answer(self, rows):
        step()
        super().answer(rows)
    def close(self):
        super().close()
        step()

table_fold.Handlers = Crashing

async def main():
    async with takings.open(sys.argv[1]) as app:
        await app.caught_up(await app.token())
asyncio.run(main())
"""


async def test_9_a_crash_at_any_statement_leaves_the_tables_a_fold_of_the_log(url: str) -> None:
    async with takings.open(url, projectors=False) as app:
        await sell(app, [("a", 1), ("b", 2), ("a", 3)])
    for statement in range(7):
        crashed = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", CRASH, url, f"{statement}"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert (crashed.stdout, crashed.returncode) == (b"crashed", 9), crashed.stderr
    async with takings.open(url) as app:
        await check_whole(app)
