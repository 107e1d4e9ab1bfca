"""The contract of a read store, its second half: generations, the switch from one to the next, and the pause.

`ViewStoreContract` has all of it; what is common to both halves stands here.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from diptych.errors import NotCaughtUp
from diptych.log import BEGINNING, Anchor
from diptych.messages import View
from diptych.read import Checkpoint, Failure, NeverFilled, Superseded, Views, ViewShape, ViewStore
from diptych.stores import Store

V = TypeVar("V", bound=View)

LOG = "0123456789abcdef"
OTHER_LOG = "fedcba9876543210"
SOON = timedelta(seconds=10)
SINCE = "2026-01-31T12:00:00+00:00"


class Word(View, key="word", index=("times",)):
    """What these tests write and read."""

    word: str
    times: int = 1


WORD = ViewShape(Word)
NEXT_WORD = ViewShape(Word, 2)


def at(position: int) -> Anchor:
    """The anchor of a position in a log where event ids tell their positions."""
    return Anchor(position, position.to_bytes(16, "big"))


async def loaded(store: ViewStore, shape: ViewShape[V], keys: Collection[Any]) -> dict[Any, V]:
    """What a projector would load of the live generation."""
    return await store.load(shape, keys, await standing(store, shape))


async def standing(store: ViewStore, shape: ViewShape[Any]) -> Checkpoint:
    """Where the live generation stands."""
    async with store.snapshot() as snapshot:
        return await snapshot.checkpoint(shape)


async def words(store: ViewStore, shape: ViewShape[Word] = WORD) -> list[str]:
    """The words that a query sees."""
    async with store.snapshot() as snapshot:
        return [row.word for row in await Views(snapshot, {Word: shape}, 0)[Word].order_by("word")]


async def write(store: ViewStore, checkpoint: Checkpoint, *new: str, shape: ViewShape[Word] = WORD) -> Checkpoint:
    """Writes words to the generation of a checkpoint, one for each position."""
    for word in new:
        upto = at(checkpoint.position + 1)
        checkpoint = await store.commit(shape, {word: Word(word=word)}, checkpoint, upto)
    return checkpoint


async def until_reached(views: ViewStore, shape: ViewShape[Any], position: int) -> float:
    """When somebody who waits for a position is woken for it, by the monotonic clock."""
    deadline = time.monotonic() + SOON.total_seconds()
    while not await views.reached(shape, position, SOON):
        assert time.monotonic() < deadline, "nobody woke it"
    return time.monotonic()


class ViewGenerationsContract:
    """Subclass it with a fixture `store`."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture
    async def views(self, store: Store) -> AsyncGenerator[ViewStore]:
        async with store.views() as views:
            yield views

    # Generations

    async def test_a_generation_is_filled_beside_the_live_one_which_answers(
        self, store: Store, views: ViewStore
    ) -> None:
        live = await write(views, await views.prepare(WORD, LOG), "a", "b")
        new = await views.begin(WORD, LOG)
        assert (new.anchor, new.failure) == (BEGINNING, None)
        assert new.epoch > live.epoch
        new = await write(views, new, "x")
        assert await words(views) == ["a", "b"]
        assert await views.load(WORD, ["a", "x"], new) == {"x": Word(word="x")}
        assert await views.load(WORD, ["a", "x"], live) == {"a": Word(word="a")}
        assert await standing(views, WORD) == await views.prepare(WORD, LOG) == live
        async with store.views() as other:
            assert [(one.live, one.checkpoint) for one in await other.generations(WORD)] == [(True, live), (False, new)]
            live = await write(other, live, "c")
        assert await words(views) == ["a", "b", "c"]

    async def test_an_unfinished_generation_is_gone_on_with(self, store: Store) -> None:
        async with store.views() as views:
            await views.prepare(WORD, LOG)
            new = await write(views, await views.begin(WORD, LOG), "x", "y")
        async with store.views() as views:
            assert await views.begin(WORD, LOG) == new
            assert await views.load(WORD, ["x"], new) == {"x": Word(word="x")}

    @pytest.mark.parametrize("change", ["log", "shape", "anew"])
    async def test_an_unfinished_generation_that_does_not_fit_gives_way_to_an_empty_one(
        self, views: ViewStore, change: str
    ) -> None:
        live = await write(views, await views.prepare(WORD, LOG), "a")
        old = await write(views, await views.begin(WORD, LOG), "x")
        shape, log_id = NEXT_WORD if change == "shape" else WORD, OTHER_LOG if change == "log" else LOG
        new = await views.begin(shape, log_id, anew=change == "anew")
        assert (new.log_id, new.anchor) == (log_id, BEGINNING)
        assert new.epoch > old.epoch
        assert await views.load(shape, ["x"], new) == {}
        with pytest.raises(Superseded):
            await views.load(WORD, ["x"], old)
        with pytest.raises(Superseded):
            await views.commit(WORD, {}, old, at(2))
        with pytest.raises(Superseded):
            await views.switch(WORD, old)
        assert await standing(views, WORD) == live

    async def test_of_two_who_fill_a_generation_the_second_is_superseded(self, store: Store, views: ViewStore) -> None:
        await views.prepare(WORD, LOG)
        new = await views.begin(WORD, LOG)
        async with store.views() as other:
            assert await other.begin(WORD, LOG) == new
            await write(views, new, "first")
            with pytest.raises(Superseded):
                await write(other, new, "second")

    async def test_there_is_nothing_to_answer_from_before_a_first_generation_is_live(self, views: ViewStore) -> None:
        new = await write(views, await views.begin(WORD, LOG), "x")
        with pytest.raises(NeverFilled):
            await standing(views, WORD)
        assert await views.switch(WORD, new)
        assert await words(views) == ["x"]

    async def test_a_view_that_is_prepared_takes_what_fits_before_it_is_begun_anew(self, views: ViewStore) -> None:
        old = await write(views, await views.prepare(WORD, LOG), "a", "b", "c")
        new = await write(views, await views.begin(NEXT_WORD, LOG), "x", shape=NEXT_WORD)
        assert await views.prepare(NEXT_WORD, LOG) == new
        assert await words(views, NEXT_WORD) == ["x"]
        assert await standing(views, NEXT_WORD) == new
        with pytest.raises(Superseded):
            await views.commit(WORD, {}, old, at(4))
        assert await views.prepare(NEXT_WORD, OTHER_LOG) != new
        assert [one.live for one in await views.generations(NEXT_WORD)] == [True]

    # The switch

    async def test_a_switch_lets_the_new_generation_answer_and_drops_the_old_one(
        self, store: Store, views: ViewStore
    ) -> None:
        old = await write(views, await views.prepare(WORD, LOG), "a", "b")
        new = await write(views, await views.begin(WORD, LOG), "x", "y")
        async with store.views() as reader, reader.snapshot() as before:
            seen = Views(before, {Word: WORD}, 0)[Word]
            assert await seen.count() == 2
            assert await views.switch(WORD, new)
            assert [row.word for row in await seen] == ["a", "b"], "a snapshot stays what it was"
        assert await words(views) == ["x", "y"]
        assert await views.prepare(WORD, LOG) == new
        assert [(one.live, one.checkpoint) for one in await views.generations(WORD)] == [(True, new)]
        for gone in (views.load(WORD, ["a"], old), views.commit(WORD, {}, old, at(3))):
            with pytest.raises(Superseded):
                await gone
        assert await views.switch(WORD, new), "it is live already"
        assert (await write(views, new, "z")).position == 3

    async def test_a_generation_that_is_behind_does_not_go_live(self, views: ViewStore) -> None:
        live = await write(views, await views.prepare(WORD, LOG), "a", "b")
        new = await write(views, await views.begin(WORD, LOG), "x")
        assert not await views.switch(WORD, new)
        assert await words(views) == ["a", "b"]
        assert await standing(views, WORD) == live
        assert await views.switch(WORD, await write(views, new, "y"))

    async def test_where_it_stands_counts_and_not_what_whoever_switches_believes(self, views: ViewStore) -> None:
        await write(views, await views.prepare(WORD, LOG), "a", "b")
        new = await views.begin(WORD, LOG)
        assert not await views.switch(WORD, new._replace(anchor=at(9)))

    @pytest.mark.parametrize("why", ["another log", "astray"])
    async def test_what_no_token_can_want_does_not_hold_up_a_switch(self, views: ViewStore, why: str) -> None:
        live = await views.prepare(WORD, OTHER_LOG if why == "another log" else LOG)
        live = await write(views, live, "a", "b", "c")
        if why == "astray":
            await views.record_failure(WORD, live, Failure(3, "the log has lost its end", SINCE))
        new = await write(views, await views.begin(WORD, LOG), "x")
        assert await views.switch(WORD, new)
        assert await standing(views, WORD) == new
        begun = time.monotonic()
        assert not await views.reached(WORD, 3, timedelta(milliseconds=50))
        assert time.monotonic() - begun < 5

    async def test_another_shape_may_take_over(self, views: ViewStore) -> None:
        await write(views, await views.prepare(WORD, LOG), "a")
        new = await write(views, await views.begin(NEXT_WORD, LOG), "x", shape=NEXT_WORD)
        assert await views.switch(NEXT_WORD, new)
        assert await words(views, NEXT_WORD) == ["x"]
        with pytest.raises(NotCaughtUp, match="another shape"):
            await standing(views, WORD)

    @pytest.mark.parametrize("where", ["the same opening", "another opening"])
    async def test_those_who_wait_are_woken_by_the_live_generation_whichever_that_is(
        self, store: Store, views: ViewStore, where: str
    ) -> None:
        await write(views, await views.prepare(WORD, LOG), "a")
        async with store.views() as other:
            to = views if where == "the same opening" else other
            waiting = asyncio.create_task(until_reached(views, WORD, 3))
            new = await write(to, await to.begin(WORD, LOG), "x", "y", "z")
            await asyncio.sleep(0.05)
            assert not waiting.done(), "what is filled beside it is not to be seen yet"
            assert await to.switch(WORD, new)
            switched = time.monotonic()
            assert await waiting - switched < 1
            waiting = asyncio.create_task(until_reached(views, WORD, 4))
            await asyncio.sleep(0.05)
            await write(to, new, "zz")
            written = time.monotonic()
            assert await waiting - written < 1

    # The pause

    async def test_no_generation_of_a_paused_view_takes_a_commit_or_a_switch(
        self, store: Store, views: ViewStore
    ) -> None:
        live = await write(views, await views.prepare(WORD, LOG), "a")
        new = await write(views, await views.begin(WORD, LOG), "x")
        async with store.views() as operator:
            assert await operator.pause(WORD, SINCE) is None
        for refused in (write(views, live, "b"), write(views, new, "y"), views.switch(WORD, new)):
            with pytest.raises(Superseded):
                await refused
        assert await words(views) == ["a"]
        assert await standing(views, WORD) == await views.prepare(WORD, LOG) == live._replace(paused=SINCE)
        assert [one.checkpoint.paused for one in await views.generations(WORD)] == [SINCE, SINCE]

    async def test_a_pause_is_kept_until_it_is_taken_back(self, store: Store) -> None:
        async with store.views() as views:
            live = await write(views, await views.prepare(WORD, LOG), "a")
            await views.pause(WORD, SINCE)
        async with store.views() as views:
            assert await views.pause(WORD, "2026-02-01T00:00:00+00:00") == SINCE
            assert (await views.prepare(WORD, LOG)).paused == SINCE
            assert (await views.prepare(NEXT_WORD, LOG)).paused == SINCE, "also when it is begun anew"
            live = await views.prepare(WORD, LOG)
            assert await views.resume(WORD) == SINCE
            assert await views.resume(WORD) is None
            assert (await views.prepare(WORD, LOG)).paused is None
            await write(views, live, "b")
            assert await words(views) == ["b"]

    async def test_a_view_may_be_paused_before_it_is_first_filled(self, views: ViewStore) -> None:
        await views.pause(WORD, SINCE)
        checkpoint = await views.prepare(WORD, LOG)
        assert checkpoint.paused == SINCE
        with pytest.raises(Superseded):
            await write(views, checkpoint, "a")

    @pytest.mark.parametrize("where", ["the same opening", "another opening"])
    async def test_a_pause_wakes_who_waits(self, store: Store, views: ViewStore, where: str) -> None:
        await write(views, await views.prepare(WORD, LOG), "a")
        waiting = asyncio.create_task(until_reached(views, WORD, 100))
        await asyncio.sleep(0.05)
        async with store.views() as other:
            await (views if where == "the same opening" else other).pause(WORD, SINCE)
        paused = time.monotonic()
        assert await waiting - paused < 1

    async def test_a_pause_holds_up_no_other_view(self, views: ViewStore) -> None:
        class Letter(View, key="letter"):
            letter: str

        letter = ViewShape(Letter)
        await views.pause(WORD, SINCE)
        checkpoint = await views.prepare(letter, LOG)
        await views.commit(letter, {"a": Letter(letter="a")}, checkpoint, at(1))
        assert (await standing(views, letter)).position == 1
