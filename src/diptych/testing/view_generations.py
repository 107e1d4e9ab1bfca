"""The contract of a read store: generations, and the switch from one to the next. `ViewStoreContract` has all of it."""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import time
from datetime import timedelta

import pytest

from diptych.errors import NotCaughtUp
from diptych.log import BEGINNING
from diptych.read import Failure, State, Superseded, Views, ViewStore
from diptych.stores import Store
from diptych.testing.view_words import (
    LOG,
    NEXT_WORD,
    OTHER_LOG,
    SINCE,
    WORD,
    ViewsContract,
    Word,
    at,
    live,
    only,
    standing,
    until_reached,
    words,
    write,
)


class ViewGenerationsContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    # Filling

    async def test_a_generation_is_filled_beside_the_live_one_which_answers(
        self, store: Store, views: ViewStore
    ) -> None:
        old = await write(views, only(await live(views, WORD)), "a", "b")
        new = only(await views.begin(WORD, LOG))
        assert (new.anchor, new.failure) == (BEGINNING, None)
        assert new.generation > old.generation
        new = await write(views, new, "x")
        assert await words(views) == ["a", "b"]
        assert await views.load(WORD, ["a", "x"], new) == {"x": Word(word="x")}
        assert await views.load(WORD, ["a", "x"], old) == {"a": Word(word="a")}
        assert only(await standing(views, WORD)) == only(await views.prepare(WORD, LOG)) == old
        async with store.views() as other:
            assert [(one.state, only(one)) for one in await other.generations(WORD)] == [
                (State.LIVE, old),
                (State.FILLING, new),
            ]
            old = await write(other, old, "c")
        assert await words(views) == ["a", "b", "c"]

    async def test_an_unfinished_generation_is_gone_on_with(self, store: Store) -> None:
        async with store.views() as views:
            await live(views, WORD)
            new = await write(views, only(await views.begin(WORD, LOG)), "x", "y")
        async with store.views() as views:
            assert only(await views.begin(WORD, LOG)) == new
            assert await views.load(WORD, ["x"], new) == {"x": Word(word="x")}

    @pytest.mark.parametrize("change", ["log", "anew"])
    async def test_an_unfinished_generation_that_does_not_fit_gives_way_to_an_empty_one(
        self, views: ViewStore, change: str
    ) -> None:
        before = await write(views, only(await live(views, WORD)), "a")
        old = await write(views, only(await views.begin(WORD, LOG)), "x")
        log_id = OTHER_LOG if change == "log" else LOG
        new = only(await views.begin(WORD, log_id, anew=change == "anew"))
        assert (new.log_id, new.anchor) == (log_id, BEGINNING)
        assert new.generation > old.generation
        assert await views.load(WORD, ["x"], new) == {}
        for gone in (
            views.load(WORD, ["x"], old),
            views.commit(WORD, {}, old, at(2)),
            views.switch(WORD, old.generation),
        ):
            with pytest.raises(Superseded):
                await gone
        assert only(await standing(views, WORD)) == before

    async def test_of_two_who_fill_a_generation_the_second_is_superseded(self, store: Store, views: ViewStore) -> None:
        await live(views, WORD)
        new = only(await views.begin(WORD, LOG))
        async with store.views() as other:
            assert only(await other.begin(WORD, LOG)) == new
            await write(views, new, "first")
            with pytest.raises(Superseded):
                await write(other, new, "second")

    async def test_a_view_that_is_prepared_goes_on_with_what_fits_and_none_goes_live_by_itself(
        self, views: ViewStore
    ) -> None:
        first = await views.prepare(WORD, LOG)
        assert first.state is State.FILLING
        first = first._replace(checkpoints=[await write(views, only(first), "a", "b", "c")])
        assert only(await views.prepare(WORD, LOG)) == only(first)
        assert await views.switch(WORD, first.number)
        second = await views.begin(WORD, LOG)
        assert (await views.prepare(WORD, LOG)).number == first.number, "the live one comes first"
        third = await views.prepare(WORD, OTHER_LOG)
        assert (third.log_id, third.state, third.position) == (OTHER_LOG, State.FILLING, 0)
        assert (await standing(views, WORD)).number == first.number
        assert second.number not in [one.number for one in await views.generations(WORD)], "it gave way"

    async def test_where_none_is_live_yet_a_snapshot_has_the_one_that_is_filled(self, views: ViewStore) -> None:
        new = await write(views, only(await views.begin(WORD, LOG)), "x")
        async with views.snapshot() as snapshot:
            generation = await snapshot.generation(WORD)
            assert (generation.state, only(generation)) == (State.FILLING, new)
            assert await snapshot.get_many(WORD, ["x"]) == {"x": Word(word="x")}
        assert not await views.reached(WORD, 1, timedelta(0)), "whoever waits, waits for a live one"
        assert await views.switch(WORD, new.generation)
        assert (await standing(views, WORD)).live
        assert await words(views) == ["x"]
        assert await views.reached(WORD, 1, timedelta(0))

    # The switch

    async def test_a_switch_lets_the_new_generation_answer_and_drops_the_old_one(
        self, store: Store, views: ViewStore
    ) -> None:
        old = await write(views, only(await live(views, WORD)), "a", "b")
        new = await write(views, only(await views.begin(WORD, LOG)), "x", "y")
        async with store.views() as reader, reader.snapshot() as before:
            seen = Views(before, {Word: WORD}, 0)[Word]
            assert await seen.count() == 2
            assert await views.switch(WORD, new.generation)
            assert [row.word for row in await seen] == ["a", "b"], "a snapshot stays what it was"
        assert await words(views) == ["x", "y"]
        assert only(await views.prepare(WORD, LOG)) == new
        assert [(one.state, only(one)) for one in await views.generations(WORD)] == [(State.LIVE, new)]
        for gone in (views.load(WORD, ["a"], old), views.commit(WORD, {}, old, at(3))):
            with pytest.raises(Superseded):
                await gone
        assert await views.switch(WORD, new.generation), "it is live already"
        assert (await write(views, new, "z")).position == 3

    async def test_the_generation_before_is_kept_where_that_is_asked_for_and_can_come_back(
        self, views: ViewStore
    ) -> None:
        old = await write(views, only(await live(views, WORD)), "a", "b")
        new = await write(views, only(await views.begin(WORD, LOG)), "x", "y")
        assert await views.switch(WORD, new.generation, keep=True)
        assert [one.state for one in await views.generations(WORD)] == [State.KEPT, State.LIVE]
        assert only(await views.prepare(WORD, LOG)) == new
        begun = only(await views.begin(WORD, LOG))
        assert begun.generation not in (old.generation, new.generation), "what is kept is not filled"
        assert await views.load(WORD, ["a"], old) == {"a": Word(word="a")}
        assert await views.switch(WORD, old.generation)
        assert await words(views) == ["a", "b"]

    async def test_a_generation_that_is_behind_does_not_go_live(self, views: ViewStore) -> None:
        before = await write(views, only(await live(views, WORD)), "a", "b")
        new = await write(views, only(await views.begin(WORD, LOG)), "x")
        assert not await views.switch(WORD, new.generation)
        assert await words(views) == ["a", "b"]
        assert only(await standing(views, WORD)) == before
        await write(views, new, "y")
        assert await views.switch(WORD, new.generation)

    @pytest.mark.parametrize("why", ["another log", "astray"])
    async def test_what_no_token_can_want_does_not_hold_up_a_switch(self, views: ViewStore, why: str) -> None:
        first = await live(views, WORD, OTHER_LOG if why == "another log" else LOG)
        before = await write(views, only(first), "a", "b", "c")
        if why == "astray":
            await views.record_failure(WORD, before, Failure("log", 3, "the log has lost its end", SINCE))
        new = await write(views, only(await views.begin(WORD, LOG)), "x")
        assert await views.switch(WORD, new.generation)
        assert only(await standing(views, WORD)) == new
        begun = time.monotonic()
        assert not await views.reached(WORD, 3, timedelta(milliseconds=50))
        assert time.monotonic() - begun < 5

    @pytest.mark.parametrize("where", ["the same opening", "another opening"])
    async def test_those_who_wait_are_woken_by_the_live_generation_whichever_that_is(
        self, store: Store, views: ViewStore, where: str
    ) -> None:
        await write(views, only(await live(views, WORD)), "a")
        async with store.views() as other:
            to = views if where == "the same opening" else other
            waiting = asyncio.create_task(until_reached(views, WORD, 3))
            new = await write(to, only(await to.begin(WORD, LOG)), "x", "y", "z")
            await asyncio.sleep(0.05)
            assert not waiting.done(), "what is filled beside it is not to be seen yet"
            assert await to.switch(WORD, new.generation)
            switched = time.monotonic()
            assert await waiting - switched < 1
            waiting = asyncio.create_task(until_reached(views, WORD, 4))
            await asyncio.sleep(0.05)
            await write(to, new, "zz")
            written = time.monotonic()
            assert await waiting - written < 1

    # Two versions of the code

    async def test_each_version_of_the_code_has_generations_of_its_own_and_leaves_the_others_alone(
        self, views: ViewStore
    ) -> None:
        old = await write(views, only(await live(views, WORD)), "a")
        with pytest.raises(NotCaughtUp, match="another shape"):
            await standing(views, NEXT_WORD)
        new = only(await views.prepare(NEXT_WORD, LOG))
        assert (new.generation > old.generation, new.anchor) == (True, BEGINNING)
        assert await views.switch(NEXT_WORD, new.generation), "the other version's position does not count"
        new = await write(views, new, "x", "y", shape=NEXT_WORD)
        old = await write(views, old, "b")
        assert (await words(views), await words(views, NEXT_WORD)) == (["a", "b"], ["x", "y"])
        filled = await views.begin(WORD, LOG)
        begun = await views.begin(NEXT_WORD, LOG)
        await views.begin(NEXT_WORD, LOG, anew=True)
        assert [(one.number, one.fingerprint) for one in await views.generations(WORD)] == [
            (old.generation, WORD.fingerprint),
            (new.generation, NEXT_WORD.fingerprint),
            (filled.number, WORD.fingerprint),
            (begun.number + 1, NEXT_WORD.fingerprint),
        ]
        assert await views.prepare(WORD, LOG) == await standing(views, WORD)
        assert await views.prepare(NEXT_WORD, LOG) == await standing(views, NEXT_WORD)

    # Dropping

    async def test_a_dropped_generation_is_gone_and_its_number_never_comes_again(self, views: ViewStore) -> None:
        before = await write(views, only(await live(views, WORD)), "a")
        old = await write(views, only(await views.begin(WORD, LOG)), "x")
        assert await views.drop(WORD, old.generation)
        assert not await views.drop(WORD, old.generation)
        new = only(await views.begin(WORD, LOG))
        assert new.generation > old.generation
        for gone in (
            views.load(WORD, ["x"], old),
            views.commit(WORD, {}, old, at(2)),
            views.switch(WORD, old.generation),
        ):
            with pytest.raises(Superseded):
                await gone
        assert await views.load(WORD, ["x"], new) == {}
        assert only(await standing(views, WORD)) == before

    async def test_the_live_generation_is_dropped_by_another_version_only(self, views: ViewStore) -> None:
        old = await write(views, only(await live(views, WORD)), "a")
        new = await write(views, only(await live(views, NEXT_WORD)), "x", shape=NEXT_WORD)
        with pytest.raises(Superseded):
            await views.drop(NEXT_WORD, new.generation)
        assert await views.drop(NEXT_WORD, old.generation)
        assert await words(views, NEXT_WORD) == ["x"]
        with pytest.raises(NotCaughtUp, match="another shape"):
            await standing(views, WORD)
        with pytest.raises(Superseded):
            await write(views, old, "b")
        assert (await views.prepare(WORD, LOG)).number > new.generation
