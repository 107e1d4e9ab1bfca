import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import App, BoundedContext, Malformed, NotCaughtUp, NotFound, Projection, Query, Token, View, Views
from tests.app.shop import (
    AllOrders,
    OrderById,
    OrderCount,
    OrderPlaced,
    OrdersOf,
    OrderSummary,
    ShipOrder,
    order,
    orders,
    shop,
    summaries,
)

SHORT = timedelta(milliseconds=150)


async def test_a_query_is_answered_from_what_was_decided(app: App) -> None:
    await app.execute(order("1"))
    await app.execute(order("2", customer_id="d", price="20.50"))
    receipt = await app.execute(ShipOrder(order_id="1"))

    assert await app.ask(OrdersOf(customer_id="c"), after=receipt.token) == [
        OrderSummary(order_id="1", customer_id="c", total=Decimal("15.00"), status="shipped")
    ]
    assert await app.ask(OrdersOf(customer_id="nobody"), after=receipt.token) == []
    assert await app.ask(OrderCount(), after=receipt.token) == 2


async def test_an_answer_says_where_it_stands(app: App) -> None:
    await app.execute(order("1"))
    receipt = await app.execute(order("2"))

    answer = await app.answer(OrderCount(), after=receipt.token)

    assert (answer.value, answer.position, answer.lag.events, answer.stale) == (2, 2, 0, False)
    assert answer.lag.time == timedelta(0)


async def test_every_client_of_many_reads_its_own_writes(app: App) -> None:
    async def client(number: int) -> None:
        dice = random.Random(number)
        for turn in range(6):
            order_id = f"{number}-{turn}"
            receipt = await app.execute(order(order_id))
            row = await app.ask(OrderById(order_id=order_id), after=receipt.token)
            assert row is not None, order_id
            assert row.status == "placed"
            if dice.random() < 0.5:
                receipt = await app.execute(ShipOrder(order_id=order_id))
                row = await app.ask(OrderById(order_id=order_id), after=receipt.token)
                assert row is not None, order_id
                assert row.status == "shipped"

    await asyncio.wait_for(asyncio.gather(*[client(number) for number in range(64)]), 30)

    assert await app.ask(OrderCount()) == 64 * 6


async def test_every_view_has_what_it_was_caught_up_with(app: App) -> None:
    receipt = None
    for number in range(100):
        receipt = await app.execute(order(str(number)))
    assert receipt is not None

    await app.caught_up(receipt.token)

    assert await app.ask(OrderCount()) == 100


async def test_events_are_told_in_order_between_two_positions(app: App) -> None:
    tokens = [(await app.execute(order(str(number)))).token for number in range(20)]

    assert [event.position async for event in app.events()] == list(range(1, 21))
    assert [event.position async for event in app.events(after=tokens[4], upto=tokens[8])] == [6, 7, 8, 9]
    assert [event.position async for event in app.events(after=tokens[19])] == []
    assert [event.position async for event in app.events(after=tokens[8], upto=tokens[3])] == []


# Tokens that lead nowhere (fault 29)


async def ways(app: App, token: Token) -> AsyncIterator[Any]:
    """Every way to use a token, one by one."""
    yield app.ask(OrderCount(), after=token, timeout=SHORT)
    yield app.answer(OrderCount(), after=token, timeout=SHORT)
    yield app.answer(OrderCount(), after=token, timeout=SHORT, lenient=True)
    yield app.caught_up(token, timeout=SHORT)


async def test_a_token_of_another_log_is_refused_however_it_is_used(app: App) -> None:
    await app.execute(order("1"))
    async for way in ways(app, Token.at("0123456789abcdef", 1)):
        with pytest.raises(Malformed, match="another log"):
            await way


async def test_a_token_ahead_of_the_log_is_never_answered(app: App) -> None:
    await app.execute(order("1"))
    async for way in ways(app, Token.at(app.log.log_id, 2)):
        with pytest.raises(NotCaughtUp, match="ahead of the log") as caught:
            await asyncio.wait_for(way, 5)
        assert (caught.value.position, caught.value.wanted) == (1, 2)


async def test_events_up_to_a_token_of_another_log_are_refused(app: App) -> None:
    await app.execute(order("1"))
    with pytest.raises(Malformed, match="another log"):
        [event async for event in app.events(upto=Token.at("0123456789abcdef", 1))]
    with pytest.raises(Malformed, match="another log"):
        [event async for event in app.events(after=Token.at("0123456789abcdef", 0))]


@given(st.text() | st.from_regex(r"[0-9a-f]{14,18}[.][0-9]{0,20}", fullmatch=True) | st.from_regex(r".*[.]\d+"))
def test_a_text_is_a_token_or_malformed(text: str) -> None:
    try:
        token = Token(text)
    except Malformed:
        return
    assert str(token) == text
    assert token.position >= 0
    assert len(token.log_id) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "0123456789abcdef",
        "0123456789abcdef.",
        "0123456789abcdef.-1",
        "0123456789abcdef.1.",
        "0123456789abcdef.1 ",
        "0123456789abcdef.1e3",
        "0123456789abcdef.٣",
        "0123456789abcdef.²",
        "0123456789ABCDEF.1",
        "0123456789abcde\0.1",
        "0123456789abcdef." + "9" * 19,
        "0123456789abcdef." + "9" * 100_000,
        "\ud800",
    ],
)
def test_a_text_that_is_no_token_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="is not a token") as caught:
        Token(text)
    assert len(caught.value.detail) < 1000


# Views that stand still


class Fragile(View, key="order_id"):
    order_id: str


class FragileCount(Query[int]):
    pass


async def fragile_count(query: FragileCount, views: Views) -> int:
    return await views[Fragile].count()


class SwallowingCount(Query[int]):
    pass


async def swallowing_count(query: SwallowingCount, views: Views) -> int:
    try:
        return await views[Fragile].count()
    except Exception:  # noqa: BLE001 - what a careless handler does
        return -1


fragile = Projection(Fragile)


@fragile.on
def break_on_a_poisonous_order(row: Fragile | None, event: OrderPlaced) -> Fragile:
    if event.customer_id == "poison":
        raise ZeroDivisionError("no such customer")
    return Fragile(order_id=event.order_id)


fragile_shop = BoundedContext(
    "fragile", aggregates=[orders], projections=[fragile], queries=[fragile_count, swallowing_count]
)


async def test_a_view_that_holds_a_row_back_says_at_which_event_and_why(url: str) -> None:
    async with fragile_shop.open(url) as app:
        good = await app.execute(order("1"))
        poison = await app.execute(order("2", customer_id="poison"))
        await app.execute(order("3"))

        with pytest.raises(NotCaughtUp, match=r"dead letter, event 2, holds back its key \"2\"") as caught:
            await app.ask(FragileCount(), after=poison.token)
        assert (caught.value.view, caught.value.position, caught.value.wanted) == ("Fragile", 1, 2)
        assert await app.ask(FragileCount(), after=good.token) in (1, 2)  # what came before is answered


async def test_a_lenient_answer_is_given_and_marked_as_stale(url: str) -> None:
    async with fragile_shop.open(url) as app:
        await app.execute(order("1"))
        await app.execute(order("2", customer_id="poison"))
        last = await app.execute(order("3"))

        with pytest.raises(NotCaughtUp):
            await app.answer(FragileCount(), after=last.token)
        answer = await app.answer(FragileCount(), after=last.token, lenient=True)

    assert (answer.value, answer.position, answer.stale, answer.parked) == (2, 3, True, 1)


async def test_a_handler_that_swallows_the_refusal_cannot_give_an_older_answer(url: str) -> None:
    async with fragile_shop.open(url) as app:
        poison = await app.execute(order("1", customer_id="poison"))
        with pytest.raises(NotCaughtUp):
            await app.ask(SwallowingCount(), after=poison.token, timeout=SHORT)


async def test_one_view_that_stands_still_holds_up_no_other(url: str) -> None:
    both = BoundedContext(
        "both",
        aggregates=[orders],
        projections=[fragile, summaries],
        queries=[fragile_count, count_summaries],
    )
    async with both.open(url) as app:
        poison = await app.execute(order("1", customer_id="poison"))
        assert await app.ask(SummaryCount(), after=poison.token) == 1
        with pytest.raises(NotCaughtUp, match="Fragile"):
            await app.ask(FragileCount(), after=poison.token, timeout=SHORT)
        with pytest.raises(NotCaughtUp, match="Fragile"):
            await app.caught_up(poison.token, timeout=SHORT)


class SummaryCount(Query[int]):
    pass


async def count_summaries(query: SummaryCount, views: Views) -> int:
    return await views[OrderSummary].count()


async def test_a_query_that_nobody_answers_is_not_found_and_the_nearest_is_named(app: App) -> None:
    class OrderCounts(Query[int]):
        pass

    with pytest.raises(NotFound, match=r"OrderCounts.*did you mean 'OrderCount'"):
        await app.ask(OrderCounts())


async def test_a_view_that_no_projection_fills_is_not_found_and_the_nearest_is_named(url: str) -> None:
    class OrderSummaries(View, key="order_id"):
        order_id: str

    class Look(Query[int]):
        pass

    async def look(query: Look, views: Views) -> int:
        return await views[OrderSummaries].count()

    async with BoundedContext("shop", aggregates=[orders], projections=[summaries], queries=[look]).open(url) as app:
        with pytest.raises(NotFound, match=r"OrderSummaries.*did you mean 'OrderSummary'"):
            await app.ask(Look())


async def test_two_apps_in_one_process_see_each_others_orders(sqlite_url: str) -> None:
    async with shop.open(sqlite_url) as left, shop.open(sqlite_url) as right:
        receipt = await left.execute(order("first"))
        for number in range(19):
            one, other = (left, right) if number % 2 else (right, left)
            receipt = await one.execute(order(str(number)))
            row = await other.ask(OrderById(order_id=str(number)), after=receipt.token)
            assert row is not None
        assert await left.ask(AllOrders(), after=receipt.token) == await right.ask(AllOrders(), after=receipt.token)
    async with shop.open(sqlite_url) as again:
        assert await again.ask(OrderCount(), after=receipt.token) == 20


async def test_an_app_that_was_closed_says_so_and_keeps_nothing(sqlite_url: str) -> None:
    async with shop.open(sqlite_url) as app:
        await app.execute(order("1"))
    with pytest.raises(Exception, match=r"(?i)closed"):
        await app.execute(order("2"))
    async with shop.open(sqlite_url) as app:
        assert [event.stream async for event in app.events()] == ["order-1"]


async def test_events_are_found_between_times_which_must_have_a_zone() -> None:
    async with shop.open("memory://") as app:
        await app.execute(order("1"))
        (first,) = [event async for event in app.events()]
        at, later = first.recorded_at, first.recorded_at + timedelta(microseconds=1)
        assert [event.position async for event in app.events(since=at)] == [1]
        assert [event.position async for event in app.events(since=later)] == []
        assert [event.position async for event in app.events(until=at)] == []
        assert [event.position async for event in app.events(until=later, backwards=True)] == [1]
        with pytest.raises(Malformed, match="zone") as raised:
            [event async for event in app.events(since=datetime(2026, 1, 1))]  # noqa: DTZ001 - it is refused
    assert raised.value.path == "$.since"


async def test_a_category_with_a_dash_is_refused_whatever_the_ids_begin_with(app: App) -> None:
    await app.execute(order("a-1"))
    with pytest.raises(Malformed, match="'order-a' is no category: it has a dash"):
        [event async for event in app.events(category="order-a")]
    assert [event.stream async for event in app.events(category="order")] == ["order-a-1"]


@pytest.mark.parametrize(
    "asked",
    [{"stream": "order-\0"}, {"category": "ord\0er"}, {"tags": {"a": "b\0"}}, {"tags": {"a": "\ud800"}}],
    ids=repr,
)
async def test_what_no_event_can_have_is_refused_on_every_store_alike(app: App, asked: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=r"control characters|UTF-8"):
        [event async for event in app.events(**asked)]
