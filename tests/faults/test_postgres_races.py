"""Fault 7 on PostgreSQL: of racers in several processes, on one condition, exactly one is kept in each round."""

import asyncio

import pytest

from tests.faults.postgres_tools import check_tables
from tests.faults.tools import end, said, start

PROCESSES, RACERS_OF_EACH = 4, 2


async def race(url: str, kind: str, rounds: int) -> None:
    arguments = (url, RACERS_OF_EACH, kind, rounds)
    processes = [await start("postgres_racer", *arguments, name) for name in range(PROCESSES)]
    try:
        won = [(await asyncio.wait_for(said(process), 300))["won"] for process in processes]
    finally:
        for process in processes:
            await end(process)
    assert [sum(round_) for round_ in zip(*won, strict=True)] == [1] * rounds
    await check_tables(url)


@pytest.mark.parametrize("kind", ["version", "tag"])
async def test_7_of_eight_racers_in_four_processes_exactly_one_is_kept(postgres_url: str, kind: str) -> None:
    await race(postgres_url, kind, 60)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["version", "tag"])
async def test_7_of_eight_racers_in_four_processes_exactly_one_is_kept_in_each_of_a_thousand_rounds(
    postgres_url: str, kind: str
) -> None:
    await race(postgres_url, kind, 1000)
