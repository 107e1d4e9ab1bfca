"""Queries over every store: never older than their token, also where dead letters hold back a key, and with reasons."""

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych import Query, Views
from diptych.errors import NotCaughtUp
from diptych.log import EventLog, Token
from diptych.messages import Shape
from diptych.read import (
    Answer,
    Fold,
    NeverFilled,
    Pause,
    Projector,
    QueryHandler,
    QuerySide,
    Repair,
    ViewStore,
)
from tests.read.engine import (
    BROKEN,
    MENDED,
    SHAPE,
    SINCE,
    Broken,
    Fanned,
    NewStore,
    Posing,
    Proxy,
    catch_up,
    fails,
    hold,
    projector_of,
    running,
    working,
)
from tests.read.ledger import ACCOUNTS, Account, Added, Dull, encoded, opened, standing, tell
from tests.read.test_other_logs import DOUBLED, Doubled

SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=10)


class CountOf(Query[int]):
    key: str


class CountsOf(Query[list[int]]):
    keys: list[str]


class Counted(Query[int]):
    pass


class Total(Query[Decimal]):
    pass


class Constant(Query[int]):
    pass


async def count_of(query: CountOf, views: Views) -> int:
    row = await views[Account].get(query.key)
    return 0 if row is None else row.count


async def counts_of(query: CountsOf, views: Views) -> list[int]:
    return [row.count for row in await views[Account].get_many(query.keys)]


async def counted(query: Counted, views: Views) -> int:
    return await views[Account].count()


async def total(query: Total, views: Views) -> Decimal:
    return sum([row.total for row in await views[Account].where(count=1)], Decimal())


async def constant(query: Constant, views: Views) -> int:
    return 1


def within(timeout: timedelta) -> AbstractContextManager[None]:
    return nullcontext()


def queries(log: EventLog, views: ViewStore, fold: Fold[Any] = ACCOUNTS) -> QuerySide:
    functions: dict[type[Query[Any]], Any] = {
        CountOf: count_of,
        CountsOf: counts_of,
        Counted: counted,
        Total: total,
        Constant: constant,
    }
    handlers = [QueryHandler(query, function, Shape(query), int) for query, function in functions.items()]
    return QuerySide(handlers, {fold.shape.view: fold.shape}, log, views, within)


def token(log: EventLog, position: int) -> Token:
    return Token.at(log.log_id, position)


def added(key: str, amount: int = 1) -> Added:
    return Added(key=key, amount=Decimal(amount))


async def refused(side: QuerySide, query: Query[Any], after: Token, timeout: timedelta = LONG) -> NotCaughtUp:
    """Why a query is not answered; at once, where it would be in vain to wait."""
    begun = time.monotonic()
    with pytest.raises(NotCaughtUp) as caught:
        await side.ask(query, after, timeout)
    assert timeout is SHORT or time.monotonic() - begun < 5
    return caught.value


# Dead letters


async def test_a_key_that_a_dead_letter_holds_back_is_not_caught_up_and_the_others_are(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), added("b"), Broken(key="a"), added("a"), added("b"))
        await catch_up(BROKEN, log, views)
        side, now = queries(log, views), token(log, 5)
        error = await refused(side, CountOf(key="a"), now)
        assert (error.view, error.position, error.wanted) == ("Account", 2, 5)
        assert error.reason == (
            'a dead letter, event 3, holds back its key "a"; look at it: diptych projection letters Account'
        )
        assert await side.ask(CountOf(key="b"), now, LONG) == 2
        assert await side.ask(CountsOf(keys=["b", "c"]), now, LONG) == [2]
        for query in (CountsOf(keys=["b", "a"]), Counted(), Total()):
            assert (await refused(side, query, now)).position == 2
        assert await side.ask(CountOf(key="a"), token(log, 2), LONG) == 1, "the token is from before the letter"
        assert await side.ask(CountOf(key="a"), None, LONG) == 1
        assert await side.ask(Constant(), now, LONG) == 1


async def test_a_stream_that_is_held_back_may_concern_every_key(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"))
        await tell(log, encoded(added("z"))._replace(schema=9), stream="ledger-2")
        await catch_up(ACCOUNTS, log, views, segments=3)
        side = queries(log, views)
        for query in (CountOf(key="a"), CountsOf(keys=["b"]), Counted()):
            error = await refused(side, query, token(log, 2))
            assert "event 2, holds back its stream ledger-2" in error.reason
        assert await side.ask(CountOf(key="a"), token(log, 1), LONG) == 1


async def test_an_answer_tells_how_many_keys_are_held_back_in_what_it_has_read(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"), Fanned(keys=["b", "c"], broken=["b", "c"]))
        await catch_up(BROKEN, log, views, segments=2)
        side = queries(log, views)

        async def answer(query: Query[Any], after: Token | None, *, lenient: bool = False) -> Answer[Any]:
            return await side.answer(query, after, SHORT, SHORT, lenient=lenient, checked=False)

        found = await answer(Counted(), None)
        assert (found.value, found.position, found.parked, found.stale) == (1, 2, 2, False)
        found = await answer(CountOf(key="a"), token(log, 2))
        assert (found.value, found.parked, found.stale) == (1, 2, False)
        found = await answer(CountOf(key="b"), token(log, 2), lenient=True)
        assert (found.value, found.parked, found.stale) == (0, 2, True)
        assert (await answer(Constant(), None)).parked == 0


async def test_what_was_held_back_is_answered_once_it_is_retried(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, Broken(key="a"), added("a"))
        live = await catch_up(BROKEN, log, views)
        side = queries(log, views)
        await refused(side, CountOf(key="a"), token(log, 2))
        with pytest.raises(NotCaughtUp, match="a dead letter, event 1"):
            await side.caught_up(token(log, 2), LONG)
        await Repair(MENDED, log, views, live.number).retry(hold("a"))
        assert await side.ask(CountOf(key="a"), token(log, 2), LONG) == 2
        await side.caught_up(token(log, 2), LONG)


# What is waited for, and what is not


async def test_a_query_waits_for_the_first_filling_to_go_live(new_store: NewStore) -> None:
    class Held(Proxy):
        gate: asyncio.Event

        async def read_records(self, *args: Any) -> Any:
            await self.gate.wait()
            return await self._real.read_records(*args)

    async with opened(new_store()) as (log, views):
        held = Held(log)
        held.gate = asyncio.Event()
        await tell(log, added("a"))
        side = queries(log, views)
        with pytest.raises(NeverFilled):
            await side.ask(Counted(), None, SHORT)
        async with working(cast("EventLog", held), views, ACCOUNTS):
            for after in (None, token(log, 1)):
                with pytest.raises(NotCaughtUp, match="it is being filled, and is at event 0"):
                    await side.ask(Counted(), after, SHORT)
            waiting = asyncio.create_task(side.ask(Counted(), None, LONG))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            held.gate.set()
            assert await waiting == 1


async def test_a_query_waits_for_its_token_and_not_longer(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), working(log, views, ACCOUNTS):
        side = queries(log, views)
        for number in range(1, 20):
            await tell(log, added("a"))
            begun = time.monotonic()
            assert await side.ask(CountOf(key="a"), token(log, number), LONG) == number
            assert time.monotonic() - begun < 2


async def test_a_view_that_nobody_projects_says_so(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await catch_up(ACCOUNTS, log, views)
        await tell(log, added("a"))
        error = await refused(queries(log, views), Counted(), token(log, 1), SHORT)
        assert (error.position, error.wanted, error.reason) == (0, 1, "no worker projects it")


async def test_a_view_that_is_only_behind_says_so(new_store: NewStore) -> None:
    class Slow(Proxy):
        async def read_records(self, *args: Any) -> Any:
            await asyncio.sleep(1)
            return await self._real.read_records(*args)

    async with opened(new_store()) as (log, views), working(cast("EventLog", Slow(log)), views, ACCOUNTS):
        await tell(log, added("a"))
        side = queries(log, views)
        assert (await refused(side, Counted(), token(log, 1), SHORT)).reason.startswith("it is lagging")
        assert await side.ask(Counted(), token(log, 1), LONG) == 1


async def test_a_paused_view_is_not_waited_for(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), working(log, views, ACCOUNTS):
        await views.pause(SHAPE, Pause(SINCE, "for the night"))
        await tell(log, added("a"))
        side = queries(log, views)
        error = await refused(side, Counted(), token(log, 1))
        assert error.reason == f"it is paused since {SINCE}: for the night"
        assert await side.ask(Counted(), None, LONG) == 0
        await views.resume(SHAPE)
        assert await side.ask(Counted(), token(log, 1), LONG) == 1


async def test_whoever_waits_when_a_pause_comes_learns_of_it(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await catch_up(ACCOUNTS, log, views)
        await tell(log, added("a"))
        waiting = asyncio.create_task(refused(queries(log, views), Counted(), token(log, 1)))
        await asyncio.sleep(0.1)
        await views.pause(SHAPE, Pause(SINCE, "now"))
        assert "it is paused" in (await waiting).reason


async def test_a_store_that_fails_is_named_when_the_time_is_over(new_store: NewStore) -> None:
    class Away(Proxy):
        async def commit(self, *args: Any) -> Any:
            raise ConnectionError("the disk is full")

    async with opened(new_store()) as (log, views):
        await catch_up(ACCOUNTS, log, views)
        await tell(log, added("a"))
        async with running(await projector_of(ACCOUNTS, log, cast("ViewStore", Away(views)))):
            await fails(views, SHAPE)
            error = await refused(queries(log, views), Counted(), token(log, 1), SHORT)
        assert error.reason.startswith("it cannot go on at event 1 since ")
        assert error.reason.endswith(": the disk is full")


async def test_a_view_that_has_applied_what_the_log_lost_answers_no_token(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views), new_store().log() as shorter:
        await tell(log, *[added("a")] * 5)
        await tell(shorter, *[added("b")] * 3)
        live = await catch_up(ACCOUNTS, log, views)
        posing = cast("EventLog", Posing(shorter, log.log_id))
        async with running(Projector(ACCOUNTS, posing, views, live.checkpoints[0])):
            await fails(views, SHAPE)
        error = await refused(queries(posing, views), Counted(), token(log, 2))
        assert error.reason.startswith("it stands still at event 5 since ")


async def test_code_of_another_version_does_not_answer_from_rows_of_this_one(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        await tell(log, added("a"))
        await catch_up(DOUBLED, log, views)
        with pytest.raises(NotCaughtUp, match="another version of the code, with another shape of it, fills it"):
            await queries(log, views).ask(Counted(), None, SHORT)
        await catch_up(ACCOUNTS, log, views)
        assert await queries(log, views).ask(Counted(), token(log, 1), LONG) == 1
        async with views.snapshot() as snapshot:
            both = Views(snapshot, {Doubled: DOUBLED.shape}, 1)
            assert await both[Doubled].get("a") == Doubled(key="a", total=Decimal(2))


# Standings


async def test_a_standing_tells_what_is_held_back_and_why_a_view_stands_still(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        side = queries(log, views)
        (never,) = await side.standings()
        assert (never.position, never.failure, never.generation) == (0, "no worker has run on it yet", None)
        assert (never.pause, never.parked) == (None, 0)
        await tell(log, Broken(key="a"), Broken(key="a"), Broken(key="b"), Dull())
        await catch_up(BROKEN, log, views)
        await views.pause(SHAPE, Pause(SINCE, "now"))
        await tell(log, Dull(), Dull())
        (found,) = await side.standings()
        assert (found.view, found.position, found.lag.events, found.failure) == ("Account", 4, 2, None)
        assert (found.parked, found.letters, found.pause) == (2, 3, Pause(SINCE, "now"))
        assert found.generation == await standing(views, SHAPE)


async def test_whether_a_view_has_events_counts_those_that_are_parked_as_missing(new_store: NewStore) -> None:
    async with opened(new_store()) as (log, views):
        side = queries(log, views)
        assert await side.having(0, 0) == {"Account": False}
        await tell(log, added("a"), Broken(key="b"), added("c"))
        await catch_up(BROKEN, log, views)
        spans = {(0, 1): True, (0, 2): False, (1, 2): False, (2, 3): True, (3, 4): False}
        assert {span: (await side.having(*span))["Account"] for span in spans} == spans
