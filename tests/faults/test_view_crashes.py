"""Fault 9: a crash between a view's rows, its dead letters and its checkpoint."""

import asyncio
import random

import pytest

from tests.faults.tools import start
from tests.faults.world import World, world_at

POINTS = {
    "sqlite": [
        "diptych.stores.sqlite.views.advance",
        "diptych.stores.sqlite.views.park",
        "diptych.stores.sqlite.views.RowChanges.write",
    ],
    "postgresql": [
        "diptych.stores.postgres.projected.write",
        "diptych.stores.postgres.letters.Letters.park",
    ],
}
"""What a commit is made of, in each store."""


async def crashed(world: World, point: str, when: str, nth: int) -> None:
    process = await start("crashing", world.url, world.code, point, when, nth)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (b"crashed" in out, process.returncode) == (True, 9), out


@pytest.mark.parametrize("when", ["before", "after"])
async def test_9_a_crash_anywhere_in_a_commit_leaves_every_view_a_fold_of_the_log(url: str, when: str) -> None:
    dice = random.Random(9)
    async with world_at(url, "broken") as world:
        for point in POINTS[url.partition(":")[0]]:
            for key in ("k1", "k2", "k3"):
                await world.poison(key)
            await world.append(100)
            await crashed(world, point, when, dice.randint(1, 4))
        world.code = "mended"
        await world.start_worker()
        await world.settled(repairing=True)
        await world.check()
