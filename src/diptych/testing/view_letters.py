"""The contract of a read store: dead letters, what becomes of them, and what a query learns of them.

`ViewStoreContract` has all of it.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
from collections.abc import Iterable
from decimal import Decimal

import pytest

from diptych.messages import View
from diptych.read import NOTHING_WITHHELD, Cause, Checkpoint, Held, Hold, Letter, Skip, Superseded, ViewShape, ViewStore
from diptych.stores import Store
from diptych.testing.view_words import (
    LOG,
    NEXT_WORD,
    PAUSE,
    SINCE,
    WORD,
    ViewsContract,
    Word,
    at,
    live,
    now,
    only,
    until_reached,
    words,
    write,
)

CAUSE = Cause("ValueError: it's 🙂", "Traceback (most recent call last):\n…", 3, SINCE, "2026-01-31T12:00:09+00:00")
A, B, C = (Hold(WORD.key_text(word)) for word in "abc")
STREAM = Hold(stream="order-1")


class Sign(View, key="id"):
    """Another view."""

    id: str


SIGN = ViewShape(Sign)


def letter(hold: Hold, position: int, cause: Cause | None = None) -> Letter:
    """An event that is parked."""
    return Letter(hold, position, "Said", SINCE, cause)


async def park(store: ViewStore, checkpoint: Checkpoint, *letters: Letter) -> Checkpoint:
    """Parks letters, and moves to the position of the last one."""
    return await store.commit(WORD, {}, checkpoint, at(max([letter.position for letter in letters])), letters)


async def parked(store: ViewStore, checkpoint: Checkpoint, hold: Hold | None = None) -> list[Letter]:
    """The letters of a segment's generation."""
    return [letter for _, letter in await store.letters(WORD, checkpoint.generation, hold)]


async def holder(store: ViewStore, keys: Iterable[str] | None, upto: int = 100) -> Letter | None:
    """The letter that keeps a query for these words from its answer."""
    async with store.snapshot() as snapshot:
        await snapshot.generation(WORD)
        return await snapshot.held(WORD, None if keys is None else [WORD.key_text(key) for key in keys], upto)


class ViewLettersContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    # Parking

    async def test_letters_are_kept_with_the_commit_that_parks_them(self, store: Store, views: ViewStore) -> None:
        start = only(await live(views, WORD))
        assert (start.parked, await views.withheld(WORD, start)) == (0, NOTHING_WITHHELD)
        letters = [letter(A, 1, CAUSE), letter(STREAM, 2), letter(A, 3)]
        moved = await views.commit(WORD, {"b": Word(word="b")}, start, at(4), letters)
        assert moved == start._replace(anchor=at(4), parked=2)
        async with store.views() as other:
            assert await now(other, moved) == moved
            assert await other.letters(WORD, moved.generation) == [(0, one) for one in letters]
            assert await other.withheld(WORD, moved) == NOTHING_WITHHELD._replace(holds={A, STREAM})
        assert await words(views) == ["b"]

    async def test_a_commit_that_is_refused_parks_nothing(self, views: ViewStore) -> None:
        class Price(View, key="word"):
            word: str
            price: Decimal = Decimal()

        price = ViewShape(Price)
        start = only(await live(views, price))
        changes = {"b": Price(word="b", price=Decimal("1e-9"))}
        with pytest.raises(ValueError, match="digits"):
            await views.commit(price, changes, start, at(2), [letter(A, 1, CAUSE)])
        moved = await views.commit(price, {}, start, at(2))
        with pytest.raises(Superseded):
            await views.commit(price, {}, start, at(2), [letter(A, 1, CAUSE)])
        await views.pause(price, PAUSE)
        with pytest.raises(Superseded):
            await views.commit(price, {}, moved, at(3), [letter(A, 3, CAUSE)])
        assert await views.letters(price, start.generation) == []
        assert await now(views, moved, price) == moved

    async def test_what_is_parked_is_counted_by_hold_and_not_by_letter(self, views: ViewStore) -> None:
        checkpoint = only(await live(views, WORD))
        counts: list[int] = []
        for letters in ([letter(A, 1, CAUSE)], [letter(A, 2), letter(B, 2, CAUSE)], [letter(A, 3), letter(STREAM, 3)]):
            checkpoint = await park(views, checkpoint, *letters)
            counts.append(checkpoint.parked)
        assert counts == [1, 2, 3]
        assert (await write(views, checkpoint, "z")).parked == 3
        assert (await now(views, checkpoint)).parked == 3

    async def test_letters_are_read_in_order_page_by_page_and_by_hold(self, views: ViewStore) -> None:
        checkpoint = only(await live(views, WORD))
        letters = [letter(A if position % 3 else B, position) for position in range(1, 31)]
        for start in (0, 10, 20):
            checkpoint = await park(views, checkpoint, *letters[start : start + 10])
        assert await parked(views, checkpoint) == letters
        assert await parked(views, checkpoint, A) == [one for one in letters if one.hold == A]
        assert await parked(views, checkpoint, C) == []
        page = await views.letters(WORD, checkpoint.generation, A, after=4, limit=3)
        assert [one.position for _, one in page] == [5, 7, 8]
        assert await views.letters(WORD, checkpoint.generation + 1) == []

    async def test_the_letters_of_one_event_come_together_however_few_are_asked_for(self, views: ViewStore) -> None:
        checkpoint = only(await live(views, WORD))
        wanted = [letter(hold, position) for position in (1, 2, 3) for hold in (A, B, C)]
        checkpoint = await park(views, checkpoint, *wanted)
        found: list[Letter] = []
        while page := await views.letters(
            WORD, checkpoint.generation, after=found[-1].position if found else 0, limit=2
        ):
            assert len(page) == 3
            found += [one for _, one in page]
        assert found == wanted

    async def test_one_event_may_be_parked_for_many_holds(self, views: ViewStore) -> None:
        holds = [Hold(f'"{number}"') for number in range(3000)]
        checkpoint = await park(views, only(await live(views, WORD)), *[letter(hold, 1, CAUSE) for hold in holds])
        assert checkpoint.parked == len(holds)
        assert (await views.withheld(WORD, checkpoint)).holds == set(holds)

    async def test_letters_go_with_their_generation(self, views: ViewStore) -> None:
        old = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE))
        new = await park(views, only(await views.begin(WORD, LOG)), letter(B, 1, CAUSE))
        assert (await holder(views, None)) == letter(A, 1, CAUSE)
        assert (await parked(views, old), await parked(views, new)) == ([letter(A, 1, CAUSE)], [letter(B, 1, CAUSE)])
        await views.switch(WORD, new.generation)
        assert (await parked(views, old), await parked(views, new)) == ([], [letter(B, 1, CAUSE)])
        assert await holder(views, None) == letter(B, 1, CAUSE)
        begun = await park(views, only(await views.begin(WORD, LOG)), letter(C, 1, CAUSE))
        await views.drop(WORD, begun.generation)
        assert await parked(views, begun) == []

    # What a query learns

    async def test_a_query_learns_of_the_first_letter_that_concerns_its_keys(self, views: ViewStore) -> None:
        first, second, third = letter(B, 2, CAUSE), letter(A, 4, CAUSE), letter(B, 6)
        await park(views, only(await live(views, WORD)), first, second, third)
        assert await holder(views, ["a"]) == second
        assert await holder(views, ["b", "x"]) == await holder(views, ["a", "b"]) == first
        assert await holder(views, ["x"]) is None
        assert await holder(views, []) is None
        assert await holder(views, None) == first
        assert await holder(views, ["a"], upto=3) is None
        assert await holder(views, ["a"], upto=4) == second
        assert await holder(views, None, upto=1) is None

    async def test_a_stream_that_is_held_back_may_concern_every_key(self, views: ViewStore) -> None:
        stream, key = letter(STREAM, 3, CAUSE), letter(A, 2, CAUSE)
        await park(views, only(await live(views, WORD)), key, stream)
        assert await holder(views, ["a"]) == await holder(views, None) == key
        assert await holder(views, ["x"]) == stream
        assert await holder(views, ["x"], upto=2) is None

    async def test_a_snapshot_does_not_see_what_is_parked_or_settled_later(self, views: ViewStore) -> None:
        first = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE))
        async with views.snapshot() as snapshot:
            assert (await snapshot.generation(WORD)).parked == 1
            await views.settle(WORD, first, A, 1, {})
            await park(views, await now(views, first), letter(B, 2, CAUSE))
            assert await snapshot.held(WORD, None, 100) == letter(A, 1, CAUSE)
        assert await holder(views, None) == letter(B, 2, CAUSE)

    async def test_dead_letters_are_counted_between_positions(self, views: ViewStore) -> None:
        await park(views, only(await live(views, WORD)), letter(A, 2, CAUSE), letter(A, 4), letter(B, 4, CAUSE))
        async with views.snapshot() as snapshot:
            await snapshot.generation(WORD)
            assert await snapshot.dead_letters(WORD) == 3
            assert [await snapshot.dead_letters(WORD, *span) for span in ((2,), (2, 3), (0, 2), (4,))] == [2, 0, 1, 0]

    # What an operator sees

    async def test_what_is_held_back_is_told_by_hold_the_oldest_first(self, views: ViewStore) -> None:
        first, second, third = letter(B, 2, CAUSE), letter(STREAM, 3, CAUSE), letter(A, 4, CAUSE)
        waiting = [letter(A, 5), letter(B, 5), letter(A, 6)]
        checkpoint = await park(views, only(await live(views, WORD)), first, second, third, *waiting)
        held = [Held(B, 2, first), Held(STREAM, 1, second), Held(A, 3, third)]
        assert await views.held_back(WORD, checkpoint.generation) == held
        assert await views.held_back(WORD, checkpoint.generation, limit=2) == held[:2]
        assert await views.held_back(WORD, checkpoint.generation + 1) == []

    async def test_a_stream_that_is_held_back_in_several_segments_is_told_once(self, views: ViewStore) -> None:
        generation = await live(views, WORD, segments=2)
        letters = [letter(STREAM, 1, CAUSE), letter(STREAM, 2)]
        for checkpoint in generation.checkpoints:
            await park(views, checkpoint, *letters)
        assert await views.held_back(WORD, generation.number) == [Held(STREAM, 2, letters[0])]

    # Settling

    async def test_what_is_settled_is_written_and_its_letters_are_forgotten(
        self, store: Store, views: ViewStore
    ) -> None:
        letters = [letter(A, 1, CAUSE), letter(B, 2, CAUSE), letter(A, 3)]
        before = await write(views, await park(views, only(await live(views, WORD)), *letters), "z")
        async with store.views() as operator:
            await operator.settle(WORD, before, A, 3, {"a": Word(word="a", times=2), "z": None})
        after = await now(views, before)
        assert after == before._replace(epoch=after.epoch, parked=1)
        assert after.epoch > before.epoch
        assert await parked(views, after) == [letter(B, 2, CAUSE)]
        assert (await views.withheld(WORD, after)).holds == {B}
        assert await words(views) == ["a"]
        with pytest.raises(Superseded):
            await write(views, before, "late")

    async def test_letters_that_came_meanwhile_stay_and_go_on_holding_back(self, views: ViewStore) -> None:
        before = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE))
        await park(views, before, letter(A, 2))
        await views.settle(WORD, before, A, 1, {"a": Word(word="a")})
        after = await now(views, before)
        assert (after.position, after.parked) == (2, 1)
        assert await parked(views, after) == [letter(A, 2)]

    async def test_what_fails_again_is_left_where_it_was_with_its_new_cause(self, views: ViewStore) -> None:
        letters = [letter(A, 1, CAUSE), letter(A, 2), letter(A, 3)]
        before = await park(views, only(await live(views, WORD)), *letters)
        left = letter(A, 2, Cause("KeyError: 'x'", "", 1, SINCE, SINCE))
        await views.settle(WORD, before, A, 2, {"a": Word(word="a")}, left)
        after = await now(views, before)
        assert (after.parked, await parked(views, after)) == (1, [left, letter(A, 3)])
        assert await words(views) == ["a"]

    async def test_whoever_settles_at_an_older_epoch_changes_nothing(self, views: ViewStore) -> None:
        before = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE))
        await views.settle(WORD, before, B, 1, {})
        skip = Skip(A, 1, "it is wrong", SINCE)
        with pytest.raises(Superseded):
            await views.settle(WORD, before, A, 1, {"a": Word(word="a")}, skip=skip)
        assert await parked(views, before) == [letter(A, 1, CAUSE)]
        assert (await words(views), await views.skips(WORD)) == ([], [])

    async def test_rows_that_do_not_fit_settle_nothing(self, views: ViewStore) -> None:
        before = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE))
        with pytest.raises(ValueError):  # noqa: PT011 - each store has its own words
            await views.settle(WORD, before, A, 1, {"a": Word(word="a", times=2**70)}, skip=Skip(A, 1, "", SINCE))
        assert await now(views, before) == before
        assert await parked(views, before) == [letter(A, 1, CAUSE)]
        assert (await words(views), await views.skips(WORD)) == ([], [])

    async def test_a_paused_view_is_settled_and_those_who_wait_look_again(self, views: ViewStore) -> None:
        before = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE))
        waiting = asyncio.create_task(until_reached(views, WORD, 2))
        await asyncio.sleep(0.05)
        await views.pause(WORD, PAUSE)
        await waiting
        await views.settle(WORD, before, A, 1, {"a": Word(word="a")})
        assert (await now(views, before)).parked == 0
        assert await holder(views, None) is None

    async def test_a_stream_is_settled_like_a_key(self, views: ViewStore) -> None:
        before = await park(views, only(await live(views, WORD)), letter(STREAM, 1, CAUSE), letter(A, 2, CAUSE))
        await views.settle(WORD, before, STREAM, 2, {"b": Word(word="b"), "c": Word(word="c")})
        after = await now(views, before)
        assert (after.parked, await parked(views, after)) == (1, [letter(A, 2, CAUSE)])
        assert await words(views) == ["b", "c"]

    async def test_a_stream_is_not_settled_on_rows_that_its_projector_may_have_changed_meanwhile(
        self, views: ViewStore
    ) -> None:
        before = await park(views, only(await live(views, WORD)), letter(STREAM, 1, CAUSE))
        moved = await write(views, before, "a")
        with pytest.raises(Superseded):
            await views.settle(WORD, before, STREAM, 1, {"a": Word(word="a", times=2)})
        assert await now(views, before) == moved
        await views.settle(WORD, moved, STREAM, 1, {"a": Word(word="a", times=2)})
        assert await parked(views, moved) == []

    # Skips

    async def test_a_skip_is_known_to_every_generation_of_the_view_from_then_on(
        self, store: Store, views: ViewStore
    ) -> None:
        old = await park(views, only(await live(views, WORD)), letter(A, 1, CAUSE), letter(STREAM, 5, CAUSE))
        later, first = Skip(STREAM, 5, "it's not ours 🙂", SINCE), Skip(A, 1, "a test order", SINCE)
        await views.settle(WORD, old, STREAM, 5, {}, skip=later)
        await views.settle(WORD, await now(views, old), A, 1, {}, skip=first)
        passed_over = NOTHING_WITHHELD._replace(skips={(A, 1), (STREAM, 5)})
        new = only(await views.begin(WORD, LOG))
        assert await views.withheld(WORD, new) == passed_over
        await views.drop(WORD, new.generation)
        async with store.views() as other:
            assert await other.skips(WORD) == [first, later]
            assert await other.withheld(WORD, await now(other, old)) == passed_over
            assert await other.skips(NEXT_WORD) == [first, later]
            await live(other, SIGN)
            assert await other.skips(SIGN) == []

    async def test_a_skip_that_is_said_again_is_one(self, views: ViewStore) -> None:
        for number in (1, 2):
            generation = await views.begin(WORD, LOG, anew=True)
            before = await park(views, only(generation), letter(A, 1, CAUSE))
            await views.settle(WORD, before, A, 1, {}, skip=Skip(A, 1, f"time {number}", SINCE))
        assert await views.skips(WORD) == [Skip(A, 1, "time 2", SINCE)]
