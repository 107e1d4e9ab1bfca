"""The contract of a read store: a generation that begins on the live one's rows, and what is put off while it fills.

`ViewStoreContract` has all of it.
"""
# ruff: noqa: S101 - assert is what a test does

import pytest

from diptych.read import Hold, Letter, State, Superseded, Views, ViewStore, segment_of
from diptych.stores import Store
from diptych.testing.view_words import LOG, OTHER_LOG, SINCE, WORD, ViewsContract, Word, at, live, only, words, write

HELD = Hold(WORD.key_text("held"))
STREAM = Hold(stream="order-1")


class ViewStartsContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    async def test_a_generation_that_begins_on_the_live_rows_has_them_and_stands_where_it_is_told(
        self, store: Store, views: ViewStore
    ) -> None:
        old = await write(views, only(await live(views, WORD)), "a", "b", "c")
        new = await views.begin(WORD, LOG, 2, onto=at(2))
        assert new.state is State.FILLING
        assert [(one.anchor, one.parked) for one in new.checkpoints] == [(at(2), 0), (at(2), 0)]
        rows = {word: Word(word=word) for word in "abc"}
        for checkpoint in new.checkpoints:
            assert await views.load(WORD, list(rows), checkpoint) == rows
        await views.commit(WORD, {"c": None}, new.checkpoints[0], at(3))
        await views.commit(WORD, {"d": Word(word="d")}, new.checkpoints[1], at(3))
        async with store.views() as other:
            assert await words(other) == ["a", "b", "c"]
            await write(other, old, "e")
            assert await words(other) == ["a", "b", "c", "e"]

    async def test_it_takes_the_letters_up_to_there_each_to_its_segment(self, views: ViewStore) -> None:
        start = only(await live(views, WORD))
        early = [Letter(HELD, 1, "Said", SINCE), Letter(STREAM, 2, "Said", SINCE)]
        late = [Letter(HELD, 3, "Said", SINCE)]
        await views.commit(WORD, {}, start, at(3), [*early, *late])
        new = await views.begin(WORD, LOG, 2, onto=at(2))
        mine = segment_of(HELD.key, 2)
        wanted = {(mine, early[0]), (0, early[1]), (1, early[1])}
        assert set(await views.letters(WORD, new.number)) == wanted
        assert [one.parked for one in new.checkpoints] == [2 - (mine != 0), 2 - (mine != 1)]

    async def test_it_takes_the_place_of_an_unfinished_one(self, views: ViewStore) -> None:
        await write(views, only(await live(views, WORD)), "a")
        before = await views.begin(WORD, LOG)
        after = await views.begin(WORD, LOG, onto=at(1))
        assert after.number > before.number
        assert [one.number for one in await views.generations(WORD) if one.state is State.FILLING] == [after.number]

    @pytest.mark.parametrize("why", ["none is live", "it is of another log"])
    async def test_there_are_no_rows_to_begin_on_where_none_is_live_of_this_log(
        self, views: ViewStore, why: str
    ) -> None:
        if why == "it is of another log":
            await live(views, WORD, OTHER_LOG)
        with pytest.raises(Superseded):
            await views.begin(WORD, LOG, onto=at(1))
        assert [one for one in await views.generations(WORD) if one.log_id == LOG] == []

    async def test_what_is_put_off_is_made_whenever_it_is_asked_for_and_changes_no_answer(
        self, views: ViewStore
    ) -> None:
        new = await views.prepare(WORD, LOG)
        checkpoint = await write(views, only(new), "a", "b")
        await views.complete(WORD, new.number)
        checkpoint = await write(views, checkpoint, "c")
        await views.complete(WORD, new.number)
        assert await views.switch(WORD, new.number)
        await views.complete(WORD, new.number)
        await write(views, checkpoint, "d")
        async with views.snapshot() as snapshot:
            assert await Views(snapshot, {Word: WORD}, 0)[Word].where(times=1).count() == 4

    async def test_nothing_is_made_for_a_generation_that_is_gone(self, views: ViewStore) -> None:
        new = await views.prepare(WORD, LOG)
        await views.drop(WORD, new.number)
        await views.complete(WORD, new.number)
        assert await views.generations(WORD) == []
