"""What other versions of the code have left: it is cleared away once nobody runs them, and not before."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from diptych import Projection
from diptych.log import BEGINNING
from diptych.read import Checkpoint, Fold, Generation, State, ViewStore, Worker
from diptych.read.leftovers import Leftovers
from diptych.stores.memory import MemoryStore
from tests.read.engine import NewStore, catch_up, reaches, until, working
from tests.read.ledger import ACCOUNTS, Account, Added, accounts, fold_of, opened, tell
from tests.read.test_leases import LEASE, Clock


def generation(number: int, fingerprint: str, state: State = State.LIVE, *, epoch: int = 1, owner: str = "") -> Any:
    at = Checkpoint("log", number, 0, 1, epoch, BEGINNING, owner or None)
    return Generation(number, fingerprint, "log", state, [at])


OLD, MINE = generation(1, "old"), generation(2, "new")
WORKERS = [Worker("me", frozenset(["new"]))]


class Looks:
    """One who looks again and again."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.leftovers = Leftovers(LEASE, self.clock)

    def look(self, *generations: Generation, workers: Sequence[Worker] = WORKERS) -> list[int]:
        return [one.number for one in self.leftovers.found("v", [*generations, MINE], MINE, workers)]


def test_what_nobody_owns_for_the_time_of_a_lease_is_left_over() -> None:
    looks = Looks()
    assert looks.look(OLD) == []
    looks.clock.now += 4.9
    assert looks.look(OLD) == []
    looks.clock.now += 0.1
    assert looks.look(OLD) == [1]


def test_what_somebody_has_owned_between_two_looks_is_not() -> None:
    looks = Looks()
    looks.look(OLD)
    looks.clock.now += 5
    assert looks.look(generation(1, "old", epoch=3)) == []
    looks.clock.now += 4
    assert looks.look(generation(1, "old", epoch=3)) == []
    looks.look(generation(1, "old", epoch=4, owner="other"))
    looks.clock.now += 5
    assert looks.look(generation(1, "old", epoch=5)) == []


@pytest.mark.parametrize(
    "other",
    [
        generation(1, "old", State.KEPT),
        generation(3, "newer", State.FILLING),
        generation(3, "newer"),
        generation(1, "new", State.FILLING),
        generation(1, "old", owner="other"),
    ],
)
def test_what_is_kept_or_newer_or_of_this_code_or_somebodys_stays(other: Generation) -> None:
    looks = Looks()
    for _ in range(4):
        assert looks.look(other) == []
        looks.clock.now += 5


@pytest.mark.parametrize("fingerprint", ["old", "old alone"])
def test_what_a_worker_could_run_stays(fingerprint: str) -> None:
    looks = Looks()
    for _ in range(4):
        assert looks.look(OLD, workers=[*WORKERS, Worker("other", frozenset([fingerprint]))]) == []
        looks.clock.now += 5


def test_it_is_time_to_look_once_in_a_lease() -> None:
    looks = Looks()
    assert looks.leftovers.due("v")
    looks.look()
    assert not looks.leftovers.due("v")
    assert looks.leftovers.due("another")
    looks.clock.now += 5
    assert looks.leftovers.due("v")


def version(number: int) -> Fold[Account]:
    projection = Projection(Account, version=number)
    projection.handlers = list(accounts.handlers)
    return fold_of(projection)


SHORT = timedelta(milliseconds=300)


async def numbers(views: ViewStore) -> list[int]:
    return [one.number for one in await views.generations(ACCOUNTS.shape)]


async def test_an_old_deployments_generation_goes_when_its_last_worker_has_gone(new_store: NewStore) -> None:
    store, old, new = new_store(), version(1), version(2)
    async with opened(store) as (log, views), store.views() as others:
        await tell(log, *[Added(key="a", amount=Decimal(1))] * 10)
        async with AsyncExitStack() as deployment:
            await deployment.enter_async_context(working(log, views, old, lease=SHORT))
            await reaches(views, old.shape, 10)
            async with working(log, others, new, lease=SHORT):
                await reaches(views, new.shape, 10)
                await asyncio.sleep(1)
                assert len(await numbers(views)) == 2
                await deployment.aclose()

                async def alone() -> bool:
                    return len(await numbers(views)) == 1

                await until(alone)
                await tell(log, Added(key="a", amount=Decimal(1)))
                await reaches(views, new.shape, 11)


async def test_the_older_code_does_not_clear_away_the_newer(memory: MemoryStore) -> None:
    old, new = version(1), version(2)
    async with opened(memory) as (log, views):
        await catch_up(old, log, views)
        await catch_up(new, log, views)
        async with working(log, views, old, lease=SHORT):
            await asyncio.sleep(1)
        assert await numbers(views) == [1, 2]
