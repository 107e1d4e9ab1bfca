"""The contract of a read store: workers and their leases on segments. `ViewStoreContract` has all of it."""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import threading
from contextlib import suppress

import pytest

from diptych.read import Superseded, ViewStore, Worker
from diptych.stores import Store
from diptych.testing.view_words import WORD, ViewsContract, live, now, only, standing, words, write

ANN = Worker("ann", frozenset({WORD.fingerprint}))
BOB = Worker("bob", frozenset())


class ViewLeasesContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    # Workers

    async def test_a_worker_that_beats_is_known_to_all_until_it_leaves(self, store: Store, views: ViewStore) -> None:
        (first,) = await views.beat(ANN)
        assert first._replace(beat=0) == ANN
        async with store.views() as other:
            both = {worker.id: worker for worker in await other.beat(BOB)}
            assert both["ann"] == first
            assert both["bob"].fingerprints == set()
        (second,) = [worker for worker in await views.beat(ANN) if worker.id == "ann"]
        assert second.beat > first.beat
        await views.leave("bob")
        assert [worker.id for worker in await views.beat(ANN)] == ["ann"]

    async def test_whoever_only_looks_sees_the_workers_and_is_none(self, views: ViewStore) -> None:
        assert await views.workers() == []
        known = await views.beat(ANN)
        assert await views.workers() == await views.workers() == known

    async def test_what_a_worker_can_run_is_what_it_said_last(self, views: ViewStore) -> None:
        await views.beat(ANN)
        (worker,) = await views.beat(ANN._replace(fingerprints=frozenset({"a", "b"})))
        assert worker.fingerprints == {"a", "b"}

    async def test_only_a_worker_that_has_not_beaten_since_is_expelled(self, views: ViewStore) -> None:
        (seen,) = await views.beat(ANN)
        taken = await views.take(WORD, only(await live(views, WORD)), "ann")
        (beaten,) = await views.beat(ANN)
        assert not await views.expel("ann", seen.beat)
        assert await now(views, taken) == taken
        assert await views.expel("ann", beaten.beat)
        assert not await views.expel("ann", beaten.beat)
        freed = await now(views, taken)
        assert freed.owner is None
        assert freed.epoch > taken.epoch
        assert [worker.id for worker in await views.beat(BOB)] == ["bob"]

    # Leases

    async def test_a_segment_is_taken_with_the_next_epoch(self, views: ViewStore) -> None:
        free = await write(views, only(await live(views, WORD)), "a")
        assert free.owner is None
        await views.beat(ANN)
        taken = await views.take(WORD, free, "ann")
        assert taken == free._replace(owner="ann", epoch=taken.epoch)
        assert taken.epoch > free.epoch
        assert only(await standing(views, WORD)) == taken
        moved = await write(views, taken, "b")
        assert (moved.owner, moved.epoch, moved.position) == ("ann", taken.epoch, 2)
        assert only(await standing(views, WORD)) == moved

    async def test_who_holds_an_older_epoch_writes_nothing(self, views: ViewStore) -> None:
        free = await write(views, only(await live(views, WORD)), "a")
        await views.beat(ANN)
        taken = await views.take(WORD, free, "ann")
        with pytest.raises(Superseded):
            await write(views, free, "late")
        await views.release(WORD, taken)
        with pytest.raises(Superseded):
            await write(views, taken, "late")
        assert await words(views) == ["a"]

    async def test_a_segment_that_is_not_free_is_not_taken(self, views: ViewStore) -> None:
        free = only(await live(views, WORD))
        await views.beat(ANN)
        await views.beat(BOB)
        taken = await views.take(WORD, free, "ann")
        for stale in (free, taken):
            with pytest.raises(Superseded):
                await views.take(WORD, stale, "bob")
        assert await now(views, taken) == taken

    async def test_a_worker_that_nobody_knows_takes_nothing(self, views: ViewStore) -> None:
        free = only(await live(views, WORD))
        with pytest.raises(Superseded):
            await views.take(WORD, free, "ann")
        assert await now(views, free) == free

    async def test_a_segment_that_is_released_is_free_for_the_next(self, views: ViewStore) -> None:
        await views.beat(ANN)
        await views.beat(BOB)
        taken = await views.take(WORD, only(await live(views, WORD)), "ann")
        await views.release(WORD, taken)
        freed = await now(views, taken)
        assert (freed.owner, freed.epoch > taken.epoch) == (None, True)
        again = await views.take(WORD, freed, "bob")
        await views.release(WORD, taken)
        assert await now(views, taken) == again, "who comes late frees nothing"

    async def test_whoever_leaves_frees_its_segments_and_no_others(self, views: ViewStore) -> None:
        await views.beat(ANN)
        await views.beat(BOB)
        generation = await live(views, WORD, segments=3)
        owners = ["ann", "bob", "ann"]
        taken = [await views.take(WORD, at, owner) for at, owner in zip(generation.checkpoints, owners, strict=True)]
        await views.leave("ann")
        first, second, third = (await standing(views, WORD)).checkpoints
        assert (first.owner, second, third.owner) == (None, taken[1], None)
        assert first.epoch > taken[0].epoch
        with pytest.raises(Superseded):
            await write(views, taken[2], "late")

    async def test_of_two_who_take_a_segment_one_has_it(self, store: Store, views: ViewStore) -> None:
        rounds = 20
        free = only(await live(views, WORD))
        start = threading.Barrier(2, timeout=10)

        async def race(racer: str) -> list[bool]:
            won: list[bool] = []
            async with store.views() as own:
                await own.beat(Worker(racer, frozenset()))
                for _ in range(rounds):
                    at = await now(own, free)
                    start.wait()
                    with suppress(Superseded):
                        at = await own.take(WORD, at, racer)
                    won.append(at.owner == racer)
                    start.wait()
                    if won[-1]:
                        await own.release(WORD, at)
                    start.wait()
            return won

        first, second = await asyncio.gather(*[asyncio.to_thread(asyncio.run, race(racer)) for racer in ("ann", "bob")])
        assert [a + b for a, b in zip(first, second, strict=True)] == [1] * rounds
        assert (await now(views, free)).epoch == free.epoch + 2 * rounds
