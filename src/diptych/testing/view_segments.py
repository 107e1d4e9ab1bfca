"""The contract of a read store: segments, each with a checkpoint of its own, and how a generation is divided anew.

`ViewStoreContract` has all of it.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import time
from datetime import timedelta

import pytest

from diptych.log import BEGINNING
from diptych.read import Checkpoint, Failure, Generation, Hold, Letter, Superseded, ViewStore, Worker, segment_of
from diptych.stores import Store
from diptych.testing.view_words import (
    LOG,
    SINCE,
    WORD,
    ViewsContract,
    Word,
    at,
    live,
    standing,
    until_reached,
    words,
    write,
)

KEYS = [Hold(WORD.key_text(f"{number}")) for number in range(20)]
STREAM = Hold(stream="order-1")


def letter(hold: Hold, position: int) -> Letter:
    """An event that is parked."""
    return Letter(hold, position, "Said", SINCE)


async def moved(store: ViewStore, checkpoint: Checkpoint, position: int) -> Checkpoint:
    """A segment, without a change of rows."""
    return await store.commit(WORD, {}, checkpoint, at(position))


async def parked_together(store: ViewStore, generation: Generation) -> list[Checkpoint]:
    """The segments of a generation, with a letter for each key and for a stream, all moved to position 9."""
    letters = [letter(hold, 1 + number % 9) for number, hold in enumerate(KEYS)]
    return [
        await store.commit(
            WORD,
            {},
            checkpoint,
            at(9),
            [
                *[one for one in letters if segment_of(one.hold.key, checkpoint.segments) == checkpoint.segment],
                letter(STREAM, 4),
                letter(STREAM, 6),
            ],
        )
        for checkpoint in generation.checkpoints
    ]


class ViewSegmentsContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    # Checkpoints of their own

    async def test_a_generation_has_as_many_segments_as_it_began_with(self, store: Store, views: ViewStore) -> None:
        generation = await views.prepare(WORD, LOG, 3)
        assert [(one.segment, one.segments, one.anchor) for one in generation.checkpoints] == [
            (number, 3, BEGINNING) for number in range(3)
        ]
        async with store.views() as other:
            assert await other.prepare(WORD, LOG, 5) == await other.begin(WORD, LOG, 7) == generation
        assert len((await views.begin(WORD, LOG, 2, anew=True)).checkpoints) == 2

    async def test_each_segment_moves_by_itself_and_the_view_is_where_the_last_one_is(self, views: ViewStore) -> None:
        first, second = (await live(views, WORD, segments=2)).checkpoints
        first = await write(views, first, "a", "b", "c")
        assert (await standing(views, WORD)).position == 0
        second = await write(views, second, "x")
        generation = await standing(views, WORD)
        assert list(generation.checkpoints) == [first, second]
        assert generation.position == 1
        assert await words(views) == ["a", "b", "c", "x"]
        assert await views.load(WORD, ["a", "x"], second) == {"a": Word(word="a"), "x": Word(word="x")}
        with pytest.raises(Superseded):
            await write(views, first._replace(anchor=BEGINNING), "late")
        with pytest.raises(Superseded):
            await write(views, second._replace(segment=2), "nowhere")

    async def test_what_one_segment_lets_wait_is_no_affair_of_the_others(self, views: ViewStore) -> None:
        first, second = (await live(views, WORD, segments=2)).checkpoints
        failure = Failure("store", 1, "the disk is full", SINCE)
        first = await views.record_failure(WORD, first, failure)
        second = await views.commit(WORD, {}, second, at(2), [letter(STREAM, 1), letter(STREAM, 2)])
        await views.beat(Worker("ann", frozenset()))
        second = await views.take(WORD, second, "ann")
        generation = await standing(views, WORD)
        assert list(generation.checkpoints) == [first, second]
        assert (generation.failure, generation.parked) == (failure, 1)
        assert [(first.owner, first.parked), (second.owner, second.parked)] == [(None, 0), ("ann", 1)]
        assert (await views.withheld(WORD, first)).holds == set()
        assert [segment for segment, _ in await views.letters(WORD, second.generation)] == [1, 1]

    @pytest.mark.parametrize("where", ["the same opening", "another opening"])
    async def test_those_who_wait_are_woken_when_the_last_segment_is_there(
        self, store: Store, views: ViewStore, where: str
    ) -> None:
        first, second = (await live(views, WORD, segments=2)).checkpoints
        async with store.views() as other:
            to = views if where == "the same opening" else other
            waiting = asyncio.create_task(until_reached(views, WORD, 2))
            await moved(to, first, 5)
            assert not await views.reached(WORD, 2, timedelta(milliseconds=50))
            assert not waiting.done()
            await moved(to, second, 2)
            there = time.monotonic()
            assert await waiting - there < 1

    async def test_a_generation_goes_live_when_its_last_segment_is_where_the_first_of_the_old_one_is(
        self, views: ViewStore
    ) -> None:
        first, _ = (await live(views, WORD, segments=2)).checkpoints
        await write(views, first, "a", "b")
        one, two, three = (await views.begin(WORD, LOG, 3)).checkpoints
        for checkpoint in (one, three):
            await moved(views, checkpoint, 5)
        two = await moved(views, two, 1)
        assert not await views.switch(WORD, one.generation)
        await moved(views, two, 2)
        assert await views.switch(WORD, one.generation)
        assert (await standing(views, WORD)).position == 2

    # Dividing anew

    @pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (2, 3), (3, 2), (2, 2)])
    async def test_a_generation_is_divided_anew_and_what_is_parked_goes_along(
        self, views: ViewStore, before: int, after: int
    ) -> None:
        old = await parked_together(views, await live(views, WORD, segments=before))
        generation = await views.resegment(WORD, old, after)
        assert generation == await standing(views, WORD)
        assert [(one.segment, one.segments, one.anchor) for one in generation.checkpoints] == [
            (number, after, at(9)) for number in range(after)
        ]
        assert min([one.epoch for one in generation.checkpoints]) > max([one.epoch for one in old])
        letters = await views.letters(WORD, generation.number)
        expected = [(segment_of(hold.key, after), letter(hold, 1 + number % 9)) for number, hold in enumerate(KEYS)] + [
            (segment, letter(STREAM, position)) for segment in range(after) for position in (4, 6)
        ]
        assert sorted(letters) == sorted(expected)
        for checkpoint in generation.checkpoints:
            holds = {one.hold for segment, one in expected if segment == checkpoint.segment}
            assert (await views.withheld(WORD, checkpoint)).holds == holds
            assert checkpoint.parked == len(holds)

    async def test_whoever_held_a_segment_before_writes_nothing_and_the_new_ones_are_free(
        self, views: ViewStore
    ) -> None:
        await views.beat(Worker("ann", frozenset()))
        old = [await views.take(WORD, one, "ann") for one in (await live(views, WORD, segments=2)).checkpoints]
        (whole,) = (await views.resegment(WORD, old, 1)).checkpoints
        assert whole.owner is None
        await write(views, whole, "a")
        (divided, other) = (await views.resegment(WORD, (await standing(views, WORD)).checkpoints, 2)).checkpoints
        for stale in (*old, whole):
            with pytest.raises(Superseded):
                await write(views, stale, "late")
        await write(views, divided, "b")
        await write(views, other, "c")
        assert await words(views) == ["a", "b", "c"]

    async def test_a_generation_is_divided_if_all_of_it_is_at_one_position_under_the_epochs_that_were_seen(
        self, views: ViewStore
    ) -> None:
        first, second = (await live(views, WORD, segments=2)).checkpoints
        ahead = await moved(views, first, 5)
        behind = await moved(views, second, 4)
        there = await moved(views, behind, 5)
        for stale in ([ahead, there._replace(epoch=there.epoch + 1)], [ahead]):
            with pytest.raises(Superseded):
                await views.resegment(WORD, stale, 3)
        assert list((await standing(views, WORD)).checkpoints) == [ahead, there]
        divided = await views.resegment(WORD, [first, second], 3)
        assert [one.position for one in divided.checkpoints] == [5, 5, 5], "wherever it was when it was seen"

    async def test_segments_that_are_apart_are_not_joined(self, views: ViewStore) -> None:
        first, second = (await live(views, WORD, segments=2)).checkpoints
        apart = [await moved(views, first, 5), await moved(views, second, 4)]
        with pytest.raises(Superseded):
            await views.resegment(WORD, apart, 1)
        assert list((await standing(views, WORD)).checkpoints) == apart

    async def test_a_dropped_generation_is_not_divided(self, views: ViewStore) -> None:
        await live(views, WORD)
        begun = await views.begin(WORD, LOG)
        await views.drop(WORD, begun.number)
        with pytest.raises(Superseded):
            await views.resegment(WORD, begun.checkpoints, 2)

    async def test_what_is_astray_is_so_when_it_is_divided_anew(self, views: ViewStore) -> None:
        first, second = (await live(views, WORD, segments=2)).checkpoints
        second = await views.record_failure(WORD, second, Failure("log", 1, "the log has lost its end", SINCE))
        assert (await views.resegment(WORD, [first, second], 1)).astray
        assert (await standing(views, WORD)).astray
