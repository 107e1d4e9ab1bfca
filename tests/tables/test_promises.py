"""Projections into tables of one's own make the promises of any projection."""

import pytest

from diptych import Malformed, NotCaughtUp, Tables
from diptych.read import (
    Hold,
    Pause,
    ProjectionSettings,
    Repair,
)
from tests.tables.checks import applied, check_whole, fold_of, opened, sell
from tests.tables.takings import Close, Sales, Sell, Sold, Taken, broken, context_of, takings, takings_of


async def test_sql_of_handlers_is_applied_once_and_queries_are_as_fresh_as_asked(url: str) -> None:
    async with takings.open(url) as app:
        await sell(app, [("a", 5), ("b", 7), ("a", 3)])
        receipt = await app.execute(Close(till="b"))
        assert await app.ask(Taken(), after=receipt.token) == {"a": 8}
        await sell(app, [("b", 1)] * 300)
        await check_whole(app)

    async with takings.open(url) as app:
        await sell(app, [("b", 1)])
        await check_whole(app)
        answer = await app.answer(Taken(), after=await app.token())
        assert (answer.position, answer.stale, answer.parked) == (305, False, 0)


async def test_an_event_that_fails_is_parked_with_later_ones_of_its_stream_and_nothing_of_it_is_kept(url: str) -> None:
    broken.add("b")
    async with takings.open(url) as app:
        await sell(app, [("a", 1), ("b", 2), ("c", 3), ("b", 4), ("a", 5)])
        await app.execute(Close(till="b"))
        assert (await applied(app)).parked == 1
        assert await app.ask(Taken()) == {"a": 6, "c": 3}
        with pytest.raises(NotCaughtUp, match=r"event 2, holds back its stream till-b"):
            await app.ask(Taken(), after=await app.token())

    async with opened(url) as (_, views):
        letters = await views.letters(fold_of().shape, 1)
        assert [(letter.hold, letter.position) for _, letter in letters] == [
            (Hold(stream="till-b"), n) for n in (2, 4, 6)
        ]
        cause = letters[0][1].cause
        assert cause is not None
        assert (cause.error, cause.attempts) == ("RuntimeError: till b is broken", 1)
        assert "in taken" in cause.traceback
        assert letters[1][1].cause is None


async def test_letters_are_retried_in_order_while_the_projector_goes_on(url: str) -> None:
    broken.add("b")
    async with takings.open(url) as app:
        await sell(app, [("b", 2), ("c", 3), ("b", 4)])
        await applied(app)
        async with opened(url) as (log, views):
            repair = Repair(fold_of(), log, views, 1)
            (hold,) = await repair.holds()
            again = await repair.retry(hold)
            assert (again.applied, again.left is not None and again.left.position) == (0, 1)
            broken.clear()
            await sell(app, [("b", 5), ("c", 1)])
            await applied(app)
            retried = await repair.retry(hold)
            assert (retried.applied, retried.left) == (3, None)
        await sell(app, [("b", 1)])
        await applied(app)
        assert await app.ask(Taken(), after=await app.token()) == {"b": 12, "c": 4}
        running = [line for line in await app.ask(Sales()) if line[1] == "b"]
        assert running == [(1, "b", 2), (3, "b", 6), (4, "b", 11), (6, "b", 12)]


async def test_what_a_key_function_gives_is_held_back_across_streams(url: str) -> None:
    def evenness(event: Sold) -> bool:
        return event.cents % 2 == 0

    projection = takings_of()
    projection.handlers = []

    @projection.on(key=evenness)
    async def noted(tables: Tables, event: Sold) -> None:
        if event.till in broken:
            raise RuntimeError("it's broken")
        await tables.execute("INSERT INTO {takings} VALUES (:till, :cents)", till=event.till, cents=event.cents)

    context = context_of(projection)
    broken.add("a")
    async with context.open(url) as app:
        await sell(app, [("a", 1), ("b", 2), ("c", 3), ("d", 4)])
        await applied(app)
        assert await app.ask(Taken()) == {"b": 2, "d": 4}
        broken.clear()
        async with opened(url) as (log, views):
            repair = Repair(fold_of(context), log, views, 1)
            assert await repair.holds() == [Hold("false")]
            assert (await repair.retry(Hold("false"))).applied == 2
        assert await app.ask(Taken(), after=await app.token()) == {"a": 1, "b": 2, "c": 3, "d": 4}


async def test_a_pause_is_taken_at_once_and_nothing_is_applied_until_it_ends(url: str) -> None:
    async with takings.open(url) as app, opened(url) as (_, views):
        await sell(app, [("a", 1)])
        await applied(app)
        assert await views.pause(fold_of().shape, Pause("now", "a test")) is None
        receipt = await app.execute(Sell(till="a", cents=2))
        with pytest.raises(NotCaughtUp, match="it is paused since now: a test"):
            await app.ask(Taken(), after=receipt.token)
        assert await app.ask(Taken()) == {"a": 1}
        await views.resume(fold_of().shape)
        await check_whole(app)


async def test_memory_has_no_sql_and_says_so() -> None:
    with pytest.raises(Malformed, match="memory:// has no SQL, which Takings needs"):
        async with takings.open("memory://"):
            raise AssertionError


async def test_a_table_projection_has_one_segment(url: str) -> None:
    with pytest.raises(Malformed, match="Takings cannot have segments"):
        async with takings.open(url, projections={"Takings": ProjectionSettings(segments=2)}):
            raise AssertionError
