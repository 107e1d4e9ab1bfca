"""A process that races others for the same place in a log, round after round.

Run as `python -m tests.faults.postgres_racer URL RACERS CONDITION ROUNDS NAME`: so many racers in one event loop append
on the same condition in every round, as soon as the round before is decided. It prints how often it won in each round.
"""

import asyncio
import json
import sys
from datetime import timedelta

from diptych import Conflict
from diptych.log import Condition, EventLog, EventQuery, Match, NoneNewer, StreamAt
from diptych.stores import store_at
from tests.faults.tools import new_append


def condition_of(kind: str, round_: int) -> Condition:
    if kind == "version":
        return StreamAt(round_)
    return NoneNewer(EventQuery((Match(frozenset({"Won"}), frozenset({f"round:{round_}"})),)), 0)


async def race(log: EventLog, kind: str, round_: int, racer: str) -> bool:
    append = new_append(
        "raced-1",
        condition=condition_of(kind, round_),
        command_id=f"{racer}-{round_}",
        tags=(f"round:{round_}",),
        type="Won",
    )
    try:
        await log.append(append)
    except Conflict:
        return False
    return True


async def main(url: str, racers: int, kind: str, rounds: int, name: str) -> None:
    async with store_at(url).log() as log:
        won: list[int] = []
        for round_ in range(rounds):
            await log.wait_past(round_ - 1, timedelta(seconds=60))
            answers = await asyncio.gather(*[race(log, kind, round_, f"{name}-{each}") for each in range(racers)])
            won.append(sum(answers))
        sys.stdout.write(json.dumps({"won": won}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]))
