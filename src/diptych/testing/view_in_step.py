"""The contract of a store whose views are kept in step with its log. `ViewStoreContract` has all of it."""
# ruff: noqa: S101 - assert is what a test does

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from diptych.errors import Conflict, ProjectionFailed, Unavailable
from diptych.log import EventLog, Outcome
from diptych.messages import Event
from diptych.read import Hold, Projector, Registered, Skip, Superseded
from diptych.read.in_step import MOST_BEHIND
from diptych.stores import Store
from diptych.testing.event_log_batches import a_batch
from diptych.testing.view_in_step_words import (
    FOLD,
    LENIENT,
    NEXT,
    UNFIT,
    WORD,
    Noted,
    Said,
    Sung,
    append_of,
    counts,
    joined,
    new,
    opened,
    say,
)
from diptych.testing.view_words import PAUSE, SINCE, ViewsContract, live, now, only, standing, until_reached

GROUP = 64


class ViewInStepContract(ViewsContract):
    """Subclass it with a fixture `store`."""

    # Joining and parting

    async def test_a_view_is_kept_in_step_from_when_it_joins_until_it_parts(self, store: Store) -> None:
        async with opened(store) as (log, views):
            await live(views, WORD, log.log_id)
            assert await views.in_step() == []
            await say(log, "early")
            await views.join(WORD)
            assert await views.in_step() == [Registered("Word", WORD.fingerprint)]
            await say(log, "a")
            assert await counts(views) == {"a": 1, "early": 1}, "with what came before it joined"
            assert await views.part("Word")
            assert not await views.part("Word")
            assert await views.in_step() == []
            await say(log, "late")

    async def test_only_what_is_live_joins(self, store: Store) -> None:
        async with opened(store) as (log, views):
            with pytest.raises(Superseded):
                await views.join(WORD)
            await views.prepare(WORD, log.log_id)
            with pytest.raises(Superseded):
                await views.join(WORD)
            assert await views.in_step() == []

    async def test_other_code_takes_the_place_and_fences_off_what_does_not_have_it(self, store: Store) -> None:
        async with joined(store) as (old, views), opened(store, FOLD, NEXT) as (both, _):
            await say(old, "a")
            await live(views, NEXT.shape, old.log_id)
            await views.join(NEXT.shape)
            assert await views.in_step() == [Registered("Word", NEXT.shape.fingerprint)]
            with pytest.raises(Unavailable, match="View Word is kept in step with the log by code that this process"):
                await say(old, "b")
            await say(both, "c")
            assert await counts(views, NEXT.shape) == {"a": 1, "c": 1}
            assert await counts(views) == {"a": 1}, "nobody moves the one before"

    async def test_whoever_does_not_have_the_code_appends_nothing_and_still_answers_what_is_sent_again(
        self, store: Store
    ) -> None:
        async with joined(store) as (log, views), store.log() as other:
            kept = append_of(Said(word="a"), id="once")
            first = await log.append(kept)
            batch = a_batch("b", ("x-1", new(Said(word="b"))))
            for refused in (other.append(append_of(Said(word="b"))), other.append_batch(batch)):
                with pytest.raises(Unavailable, match="diptych projection part Word"):
                    await refused
            assert (await other.head()).position == 1
            assert await other.append(kept) == await log.append(kept) == first
            await views.part("Word")
            assert (await other.append(append_of(Said(word="b")))).position == 2

    # Following

    @pytest.mark.parametrize("segments", [1, 3])
    async def test_whoever_has_the_outcome_finds_the_rows_changed(self, store: Store, segments: int) -> None:
        async with joined(store, segments=segments) as (log, views), opened(store) as (_, other):
            for number in range(5):
                await say(log, "a", f"b{number}", stream=f"text-{number}")
                for place in (views, other):
                    assert (await counts(place))["a"] == number + 1
                    assert (await counts(place))[f"b{number}"] == 1
                    assert {at.position for at in (await standing(place, WORD)).checkpoints} == {2 * number + 2}

    async def test_deletions_many_rows_and_records_follow_as_well(self, store: Store) -> None:
        async with joined(store) as (log, views):
            await say(log, "a", "a", "b")
            await log.append(append_of(Sung(words=["a", "b", "c"]), Noted(word="c")))
            assert await counts(views) == {"a": 2, "c": 5}

    async def test_a_batch_and_an_append_without_events_follow(self, store: Store) -> None:
        async with joined(store) as (log, views):
            await log.append_batch(a_batch("b", ("x-1", new(Said(word="a"))), ("y-1", new(Said(word="a")))))
            await log.append(append_of())
            assert await counts(views) == {"a": 2}
            assert (await standing(views, WORD)).position == 2

    async def test_the_rows_of_a_group_are_those_of_its_events_in_order(self, store: Store) -> None:
        async with joined(store) as (log, views):
            await asyncio.gather(*[say(log, "a", f"w{number}", stream=f"text-{number}") for number in range(GROUP)])
            found = await counts(views)
            assert found.pop("a") == GROUP
            assert set(found.values()) == {1}
            assert (await standing(views, WORD)).position == 2 * GROUP

    @pytest.mark.parametrize("where", ["the same opening", "another opening"])
    async def test_who_waits_is_woken(self, store: Store, where: str) -> None:
        async with joined(store) as (log, views), opened(store) as (_, other):
            waiting = asyncio.create_task(until_reached(views if where == "the same opening" else other, WORD, 1))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await say(log, "a")
            await asyncio.wait_for(waiting, 5)

    async def test_nobody_sees_a_view_ahead_of_the_log_or_behind_it(self, store: Store) -> None:
        async with joined(store) as (log, views), opened(store) as (reader, other):
            writing = asyncio.create_task(keep_saying(log, 40))
            while not writing.done():
                before = (await reader.head()).position
                found = await standing(other, WORD)
                assert before <= found.position <= (await reader.head()).position
                assert sum((await counts(other)).values()) >= found.position
                await asyncio.sleep(0)
            assert sum((await counts(views)).values()) == (await log.head()).position == await writing

    async def test_many_who_append_at_once_all_bring_it_along(self, store: Store) -> None:
        async def work(name: str) -> int:
            async with opened(store) as (log, _):
                return await keep_saying(log, 15, stream=f"text-{name}")

        async with joined(store) as (log, views):
            said = await asyncio.gather(*[asyncio.to_thread(asyncio.run, work(name)) for name in "abcd"])
            assert sum((await counts(views)).values()) == sum(said) == (await log.head()).position
            assert (await standing(views, WORD)).position == sum(said)

    # Refusals

    @pytest.mark.parametrize(
        "event", [Said(word="bad"), Said(word="changed"), Said(word="a", times=UNFIT), Noted(word="x")]
    )
    async def test_what_a_view_cannot_take_is_not_kept_and_nothing_is_changed(self, store: Store, event: Event) -> None:
        async with joined(store) as (log, views):
            await say(log, "a")
            with pytest.raises(ProjectionFailed, match="Nothing was kept: view Word, kept in step with the log") as no:
                await log.append(append_of(Said(word="b"), event, id="refused"))
            assert (no.value.view, no.value.event) == ("Word", f"{type(event).__name__} at position 3")
            batch = a_batch("b", ("x-1", new(Said(word="b"))), ("x-1", new(event)))
            with pytest.raises(ProjectionFailed):
                await log.append_batch(batch)
            assert (await log.head()).position == 1
            assert await log.outcome("refused") is None
            assert await counts(views) == {"a": 1}
            assert await log.append(append_of(Said(word="b"), id="refused")), "its id is free"
            assert await counts(views) == {"a": 1, "b": 1}

    async def test_of_a_group_only_that_is_refused_which_the_view_cannot_take(self, store: Store) -> None:
        async with joined(store) as (log, views):
            bad = {0, 17, 18, GROUP - 1}
            words = [["a", "bad"] if number in bad else ["a", f"w{number}"] for number in range(GROUP)]
            said = await asyncio.gather(
                *[say(log, *pair, stream=f"text-{number}") for number, pair in enumerate(words)], return_exceptions=True
            )
            assert {number for number, one in enumerate(said) if isinstance(one, ProjectionFailed)} == bad
            kept = [one for one in said if isinstance(one, Outcome)]
            assert sorted(one.position for one in kept) == list(range(2, 2 * len(kept) + 1, 2))
            assert (await counts(views))["a"] == len(kept) == GROUP - len(bad)
            assert (await log.load("text-17")).version == 0

    async def test_a_conflict_moves_nothing(self, store: Store) -> None:
        async with joined(store) as (log, views):
            await log.append(append_of(Said(word="a"), version=0))
            with pytest.raises(Conflict):
                await log.append(append_of(Said(word="b"), version=0))
            assert await counts(views) == {"a": 1}

    async def test_what_waits_behind_a_dead_letter_is_refused_until_that_is_settled(self, store: Store) -> None:
        async with opened(store, LENIENT) as (log, views):
            at = only(await live(views, WORD, log.log_id))
            await log.append(append_of(Said(word="bad")))
            await caught_up(Projector(FOLD, log, views, at), 1)
            await views.join(WORD)
            await say(log, "good")
            with pytest.raises(ProjectionFailed, match='a dead letter holds back its key "bad"'):
                await say(log, "bad")
            with pytest.raises(ProjectionFailed):
                await log.append(append_of(Sung(words=["x", "bad"])))
            assert await counts(views) == {"good": 1}
            hold = Hold('"bad"')
            skip = Skip(hold, 1, "was a joke", SINCE)
            await views.settle(WORD, await now(views, at), hold, 1, {}, skip=skip)
            await say(log, "bad")
            assert await counts(views) == {"bad": 1, "good": 1}

    # What is left behind

    async def test_a_paused_view_is_left_behind_and_caught_up_by_the_next_append(self, store: Store) -> None:
        async with joined(store, segments=2) as (log, views):
            await say(log, "a")
            await views.pause(WORD, PAUSE)
            await say(log, "a", "bad")
            assert await counts(views) == {"a": 1}
            await views.resume(WORD)
            with pytest.raises(ProjectionFailed, match="at position 3"):
                await say(log, "b")
            for at in (await standing(views, WORD)).checkpoints:
                await caught_up(Projector(LENIENT, log, views, at), 3)
            await say(log, "b")
            assert await counts(views) == {"a": 2, "b": 1, "bad": 1}

    async def test_what_was_missed_and_is_to_be_passed_over_is_passed_over(self, store: Store) -> None:
        async with joined(store) as (log, views):
            at = only(await standing(views, WORD))
            await views.pause(WORD, PAUSE)
            await say(log, "bad", "a")
            await views.settle(WORD, at, Hold('"bad"'), 0, {}, skip=Skip(Hold('"bad"'), 1, "a joke", SINCE))
            await views.resume(WORD)
            await say(log, "b")
            assert await counts(views) == {"a": 1, "b": 1}

    async def test_a_view_that_is_far_behind_is_left_to_its_projectors_and_hinders_nobody(self, store: Store) -> None:
        async with joined(store) as (log, views):
            await views.pause(WORD, PAUSE)
            for _ in range(MOST_BEHIND // 100):
                await say(log, *["a"] * 100)
            await say(log, "a")
            await views.resume(WORD)
            await say(log, "b")
            assert await counts(views) == {}
            assert not await views.reached(WORD, 1, timedelta())
            await caught_up(Projector(FOLD, log, views, only(await standing(views, WORD))), 2)
            await say(log, "b")
            assert await counts(views) == {"a": MOST_BEHIND + 1, "b": 2}

    # Rebuilding, dividing

    async def test_a_generation_that_is_filled_is_brought_along_as_soon_as_it_is_near(self, store: Store) -> None:
        async with joined(store) as (log, views):
            await say(log, "a", "b")
            begun = await views.begin(WORD, log.log_id, 2)
            assert not await views.switch(WORD, begun.number)
            await say(log, "a")
            assert await views.switch(WORD, begun.number), "nothing has filled it but the append"
            assert (await standing(views, WORD)).number == begun.number
            await say(log, "c")
            assert await counts(views) == {"a": 2, "b": 1, "c": 1}

    async def test_what_only_the_one_that_is_filled_cannot_take_hinders_nobody(self, store: Store) -> None:
        async with joined(store, LENIENT) as (log, views), opened(store, FOLD) as (strict, _):
            await say(log, "bad")
            begun = await views.begin(WORD, log.log_id)
            await say(strict, "a")
            assert await counts(views) == {"a": 1, "bad": 1}
            filling = next(one for one in await views.generations(WORD) if one.number == begun.number)
            assert filling.position == 0
            assert await views.load(WORD, ["a", "bad"], only(filling)) == {}

    async def test_a_view_is_divided_while_appends_move_it(self, store: Store) -> None:
        async with joined(store, segments=2) as (log, views):
            seen = (await standing(views, WORD)).checkpoints
            await say(log, "a", "b", "c")
            divided = await views.resegment(WORD, seen, 3)
            assert [at.position for at in divided.checkpoints] == [3, 3, 3]
            with pytest.raises(Superseded):
                await views.resegment(WORD, seen, 1)
            await say(log, "a", "d")
            assert await counts(views) == {"a": 2, "b": 1, "c": 1, "d": 1}

    async def test_a_projector_and_appends_apply_each_event_once(self, store: Store) -> None:
        async with joined(store) as (log, views), opened(store) as (other, place):

            async def project() -> None:
                while True:
                    await asyncio.sleep(0)
                    with suppress(Superseded):
                        projector = Projector(FOLD, other, place, only(await standing(place, WORD)))
                        await projector.begin()
                        await projector.step()

            projecting = asyncio.create_task(project())
            for number in range(30):
                await (views.pause(WORD, PAUSE) if number % 3 == 0 else views.resume(WORD))
                await asyncio.gather(*[say(log, "a", stream=f"text-{one}") for one in range(8)])
                await asyncio.sleep(0)
            projecting.cancel()
            await asyncio.gather(projecting, return_exceptions=True)
            assert await counts(views) == {"a": 240}


async def caught_up(projector: Projector, position: int) -> None:
    await projector.begin()
    await projector.advance(position)


async def keep_saying(log: EventLog, times: int, stream: str = "text-1") -> int:
    """Says words one after another, some badly; how many were kept."""
    kept = 0
    for number in range(times):
        words = ["a", "bad"] if number % 5 == 4 else ["a", f"w{number}"]
        with suppress(ProjectionFailed):
            kept += len((await say(log, *words, stream=stream)).types)
    return kept
