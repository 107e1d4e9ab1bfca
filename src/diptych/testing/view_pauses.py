"""The contract of a read store: the pause, which refuses every commit to a view. `ViewStoreContract` has all of it."""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import time

import pytest

from diptych.messages import View
from diptych.read import Pause, Superseded, ViewShape, ViewStore
from diptych.stores import Store
from diptych.testing.view_words import (
    LOG,
    NEXT_WORD,
    PAUSE,
    WORD,
    ViewsContract,
    at,
    live,
    only,
    standing,
    until_reached,
    words,
    write,
)


class ViewPausesContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    async def test_no_generation_of_a_paused_view_takes_a_commit_or_a_switch(
        self, store: Store, views: ViewStore
    ) -> None:
        before = await write(views, only(await live(views, WORD)), "a")
        new = await write(views, only(await views.begin(WORD, LOG)), "x")
        async with store.views() as operator:
            assert await operator.pause(WORD, PAUSE) is None
        for refused in (write(views, before, "b"), write(views, new, "y"), views.switch(WORD, new.generation)):
            with pytest.raises(Superseded):
                await refused
        assert await words(views) == ["a"]
        assert (await standing(views, WORD)).pause == (await views.prepare(WORD, LOG)).pause == PAUSE
        assert only(await standing(views, WORD)) == before
        assert [one.pause for one in await views.generations(WORD)] == [PAUSE, PAUSE]

    async def test_a_pause_is_kept_until_it_is_taken_back(self, store: Store) -> None:
        async with store.views() as views:
            before = await write(views, only(await live(views, WORD)), "a")
            await views.pause(WORD, PAUSE)
        async with store.views() as views:
            assert await views.pause(WORD, Pause("2026-02-01T00:00:00+00:00", "again")) == PAUSE
            assert (await views.prepare(WORD, LOG)).pause == PAUSE
            assert (await views.prepare(NEXT_WORD, LOG)).pause == PAUSE, "of every version of the code"
            assert await views.resume(WORD) == PAUSE
            assert await views.resume(WORD) is None
            assert (await views.prepare(WORD, LOG)).pause is None
            await write(views, before, "b")
            assert await words(views) == ["a", "b"]

    async def test_a_view_may_be_paused_before_it_is_first_filled(self, views: ViewStore) -> None:
        await views.pause(WORD, PAUSE)
        generation = await views.prepare(WORD, LOG)
        assert generation.pause == PAUSE
        with pytest.raises(Superseded):
            await write(views, only(generation), "a")

    @pytest.mark.parametrize("where", ["the same opening", "another opening"])
    async def test_a_pause_wakes_who_waits(self, store: Store, views: ViewStore, where: str) -> None:
        await write(views, only(await live(views, WORD)), "a")
        waiting = asyncio.create_task(until_reached(views, WORD, 100))
        await asyncio.sleep(0.05)
        async with store.views() as other:
            await (views if where == "the same opening" else other).pause(WORD, PAUSE)
        paused = time.monotonic()
        assert await waiting - paused < 1

    async def test_a_pause_holds_up_no_other_view(self, views: ViewStore) -> None:
        class Sign(View, key="sign"):
            sign: str

        sign = ViewShape(Sign)
        await views.pause(WORD, PAUSE)
        checkpoint = only(await live(views, sign))
        await views.commit(sign, {"a": Sign(sign="a")}, checkpoint, at(1))
        assert (await standing(views, sign)).position == 1
