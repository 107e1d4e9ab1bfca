import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diptych import (
    Aggregate,
    App,
    BoundedContext,
    Command,
    CommandIdReused,
    Event,
    Malformed,
    Moment,
    NotFound,
    PreconditionFailed,
    Projection,
    Query,
    Recorded,
    Rejected,
    Token,
    View,
    Views,
)
from tests.app.shop import (
    OrderPlaced,
    ShipOrder,
    order,
    orders,
)


async def recorded(app: App) -> list[Recorded[Any]]:
    return [event async for event in app.events()]


# What an accepted command gives


async def test_a_receipt_names_stream_version_and_events_and_never_the_state(app: App) -> None:
    placed = await app.execute(order("1"), command_id="first")
    shipped = await app.execute(ShipOrder(order_id="1"))

    assert (placed.command_id, placed.stream, placed.version, placed.events) == (
        "first",
        "order-1",
        1,
        ("OrderPlaced",),
    )
    assert (shipped.stream, shipped.version, shipped.events) == ("order-1", 2, ("OrderShipped",))
    assert (placed.token.position, shipped.token.position) == (1, 2)
    assert set(placed.__struct_fields__) == {"command_id", "token", "stream", "version", "events"}


async def test_a_command_that_changes_nothing_has_a_receipt_without_events(app: App) -> None:
    await app.execute(order("1"))
    await app.execute(ShipOrder(order_id="1"))

    again = await app.execute(ShipOrder(order_id="1"))

    assert (again.events, again.version, again.token.position) == ((), 2, 2)
    assert len(await recorded(app)) == 2


async def test_a_rejection_leaves_nothing(app: App) -> None:
    with pytest.raises(Rejected, match="worth at least") as caught:
        await app.execute(order("1", price="9.99"), command_id="cheap")

    assert caught.value.code == "minimum-order"
    assert await recorded(app) == []
    assert await app.log.outcome("cheap") is None
    assert (await app.execute(order("1"), command_id="cheap")).version == 1  # the id is free for a better try


async def test_a_command_that_nobody_decides_is_not_found_and_the_nearest_is_named(app: App) -> None:
    class PlaceOrders(Command):
        order_id: str

    with pytest.raises(NotFound, match=r"PlaceOrders.*did you mean 'PlaceOrder'"):
        await app.execute(PlaceOrders(order_id="1"))


# Idempotency


async def test_a_repeated_command_id_with_the_same_body_gets_the_first_receipt(app: App) -> None:
    first = await app.execute(order("1"), command_id="a")
    await app.execute(ShipOrder(order_id="1"))

    # Decided now, it would be rejected: the order exists.
    again = await app.execute(order("1"), command_id="a")

    assert again == first
    assert len(await recorded(app)) == 2


async def test_a_repeated_command_id_gets_the_first_receipt_where_the_command_changed_nothing(app: App) -> None:
    await app.execute(order("1"))
    await app.execute(ShipOrder(order_id="1"))
    first = await app.execute(ShipOrder(order_id="1"), command_id="a")
    await app.execute(order("2"))

    assert await app.execute(ShipOrder(order_id="1"), command_id="a") == first
    assert first.events == ()


async def test_a_repeated_command_id_with_another_body_is_refused_whatever_would_be_decided(app: App) -> None:
    await app.execute(order("1"), command_id="a")

    others: list[Command] = [
        order("2"),  # would be accepted
        order("1", price="16.00"),  # would be rejected
        order("3", price="1.00"),  # would be rejected for another reason
        ShipOrder(order_id="1"),  # another command on the same stream
        ShipOrder(order_id="9"),  # and one on a stream that is not there
    ]
    for other in others:
        with pytest.raises(CommandIdReused) as caught:
            await app.execute(other, command_id="a")
        assert caught.value.command_id == "a"
    assert len(await recorded(app)) == 1


async def test_the_same_command_sent_many_times_at_once_is_kept_once(app: App) -> None:
    receipts = await asyncio.gather(*[app.execute(order("1"), command_id="a") for _ in range(32)])

    assert len(set(receipts)) == 1
    assert len(await recorded(app)) == 1


async def test_a_command_id_sent_at_once_with_two_bodies_is_kept_for_one_of_them(app: App) -> None:
    results = await asyncio.gather(
        *[app.execute(order(str(number)), command_id="a") for number in range(16)], return_exceptions=True
    )

    assert sum(isinstance(result, CommandIdReused) for result in results) == 15
    assert len(await recorded(app)) == 1


# Expected versions


async def test_an_expected_version_that_is_not_the_streams_fails_the_precondition(app: App) -> None:
    await app.execute(order("1"), expected_version=0)

    with pytest.raises(PreconditionFailed) as caught:
        await app.execute(ShipOrder(order_id="1"), expected_version=7)

    assert (caught.value.stream, caught.value.expected, caught.value.found) == ("order-1", 7, 1)
    assert len(await recorded(app)) == 1
    assert (await app.execute(ShipOrder(order_id="1"), expected_version=1)).version == 2


async def test_a_retry_of_an_accepted_command_gets_its_receipt_although_the_version_has_moved_on(app: App) -> None:
    first = await app.execute(order("1"), command_id="a", expected_version=0)
    await app.execute(ShipOrder(order_id="1"))

    assert await app.execute(order("1"), command_id="a", expected_version=0) == first


async def test_of_many_who_expect_one_version_one_succeeds(app: App) -> None:
    await app.execute(order("1"))
    results = await asyncio.gather(
        *[app.execute(ShipOrder(order_id="1"), expected_version=1) for _ in range(16)], return_exceptions=True
    )

    assert sum(isinstance(result, PreconditionFailed) for result in results) == 15


# Many at once


@dataclass(frozen=True, slots=True)
class Count:
    value: int = 0


class Add(Command):
    counter_id: str
    amount: int


class Added(Event):
    counter_id: str
    amount: int
    value: int


counters = Aggregate("counter", id="counter_id", initial=Count())


@counters.decide
def add(count: Count, command: Add) -> Iterator[Added]:
    yield Added(counter_id=command.counter_id, amount=command.amount, value=count.value + command.amount)


@counters.evolve
def added(count: Count, event: Added) -> Count:
    return Count(count.value + event.amount)


counting = BoundedContext("counting", aggregates=[counters])


async def test_commands_that_come_at_once_for_one_stream_are_all_applied(url: str) -> None:
    async with counting.open(url) as app:
        receipts = await asyncio.gather(*[app.execute(Add(counter_id="1", amount=1)) for _ in range(64)])
        events = await recorded(app)

    assert sorted(receipt.version for receipt in receipts) == list(range(1, 65))
    assert [event.event.value for event in events] == list(range(1, 65))


async def test_cancelled_callers_hold_up_nobody_behind_them(url: str) -> None:
    async with counting.open(url) as app:
        tasks = [asyncio.create_task(app.execute(Add(counter_id="1", amount=1))) for _ in range(64)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        events = await recorded(app)
        after = await asyncio.wait_for(app.execute(Add(counter_id="1", amount=1)), 10)

    kept = sum(not isinstance(result, BaseException) for result in results)
    assert kept >= 32
    assert kept <= len(events) <= 64  # a cancelled command may have been kept
    assert [event.event.value for event in events] == list(range(1, len(events) + 1))
    assert after.version == len(events) + 1


async def test_one_commands_failing_decide_harms_no_other(url: str) -> None:
    class Break(Command):
        counter_id: str

    wild = Aggregate("counter", id="counter_id", initial=Count())
    wild.decide(add)
    wild.evolve(added)

    @wild.decide
    def broken(count: Count, command: Break) -> Iterator[Added]:
        yield Added(counter_id=command.counter_id, amount=1, value=1)
        raise ZeroDivisionError("a bug in the domain")

    async with BoundedContext("wild", aggregates=[wild]).open(url) as app:
        commands: list[Command] = [Add(counter_id="1", amount=1), Break(counter_id="1")] * 8
        results = await asyncio.gather(*[app.execute(command) for command in commands], return_exceptions=True)
        events = await recorded(app)

    assert sum(isinstance(result, ZeroDivisionError) for result in results) == 8
    assert [event.event.value for event in events] == list(range(1, 9))


# What travels with a command


class Trace(View, key="order_id"):
    order_id: str
    position: int
    stream: str
    version: int
    event_id: str
    command_id: str
    correlation_id: str
    causation_id: str
    actor: str | None
    traceparent: str | None
    recorded_at: datetime


traces = Projection(Trace)


@traces.on
def trace(row: Trace | None, record: Recorded[OrderPlaced]) -> Trace:
    metadata = record.metadata
    return Trace(
        order_id=record.event.order_id,
        position=record.position,
        stream=record.stream,
        version=record.version,
        event_id=record.event_id,
        command_id=metadata.command_id,
        correlation_id=metadata.correlation_id,
        causation_id=metadata.causation_id,
        actor=metadata.actor,
        traceparent=metadata.traceparent,
        recorded_at=record.recorded_at,
    )


class TraceOf(Query[Trace | None]):
    order_id: str


async def trace_of(query: TraceOf, views: Views) -> Trace | None:
    return await views[Trace].get(query.order_id)


traced = BoundedContext("traced", aggregates=[orders], projections=[traces], queries=[trace_of])


async def test_what_travels_with_a_command_reaches_the_handlers_that_ask_for_the_record(url: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with traced.open(url) as app:
        await app.execute(order("0"))
        receipt = await app.execute(
            order("1"),
            command_id="the-command",
            correlation_id="the-conversation",
            causation_id="the-cause",
            actor="Ада",
            traceparent=traceparent,
        )
        row = await app.ask(TraceOf(order_id="1"), after=receipt.token)
        event = (await recorded(app))[1]

    assert row is not None
    assert (row.command_id, row.correlation_id, row.causation_id) == ("the-command", "the-conversation", "the-cause")
    assert (row.actor, row.traceparent) == ("Ада", traceparent)
    assert (row.position, row.stream, row.version) == (2, "order-1", 1)
    assert before <= row.recorded_at <= datetime.now(UTC)
    assert row.recorded_at.utcoffset() == timedelta(0)
    assert (row.event_id, row.recorded_at) == (event.event_id, event.recorded_at)


async def test_without_more_a_command_begins_its_own_conversation(url: str) -> None:
    async with traced.open(url) as app:
        receipt = await app.execute(order("1"))
        row = await app.ask(TraceOf(order_id="1"), after=receipt.token)

    assert row is not None
    assert row.command_id == row.correlation_id == row.causation_id == receipt.command_id
    assert row.actor is row.traceparent is None


@pytest.mark.parametrize("field", ["command_id", "correlation_id", "causation_id", "actor", "traceparent"])
@pytest.mark.parametrize("value", ["", "x" * 201, "a\0b", "a\nb", "a\x85b", "\ud800"])
async def test_an_id_that_travels_with_a_command_is_checked(app: App, field: str, value: str) -> None:
    travelling: dict[str, Any] = {field: value}
    with pytest.raises(Malformed, match=field):
        await app.execute(order("1"), **travelling)
    assert await recorded(app) == []


@pytest.mark.parametrize("field", ["correlation_id", "causation_id", "actor", "traceparent"])
async def test_what_is_kept_about_a_command_can_be_read_again_whatever_was_given(app: App, field: str) -> None:
    travelling: dict[str, Any] = {field: 42}
    try:
        await app.execute(order("1"), **travelling)
    except Malformed:
        return
    assert getattr((await recorded(app))[0].metadata, field) == "42"


# The moment of a decision


class Open(Command):
    account_id: str


class Opened(Event):
    account_id: str
    at: datetime
    number: str
    other: str
    by: str | None
    command: str


accounts = Aggregate("account", id="account_id", initial=False)


@accounts.decide
def open_account(exists: bool, command: Open, moment: Moment) -> list[Opened]:
    opened = Opened(
        account_id=command.account_id,
        at=moment.now,
        number=moment.id(),
        other=moment.id("other"),
        by=moment.actor,
        command=moment.command_id,
    )
    return [] if exists else [opened]


@accounts.evolve
def opened(exists: bool, event: Opened) -> bool:
    return True


bank = BoundedContext("bank", aggregates=[accounts])


async def test_a_moment_gives_the_time_the_actor_and_ids(url: str) -> None:
    before = datetime.now(UTC)
    async with bank.open(url) as app:
        await app.execute(Open(account_id="1"), command_id="a", actor="ada")
        event = (await recorded(app))[0].event

    assert before <= event.at <= datetime.now(UTC)
    assert (event.by, event.command) == ("ada", "a")
    assert event.number != event.other


async def test_ids_that_are_derived_from_a_moment_are_the_same_on_a_retry_and_differ_between_commands(
    tmp_path_factory: pytest.TempPathFactory, url: str
) -> None:
    made: list[str] = []
    # The second store stands for one that has never heard of the command: it is decided again there.
    for place in (url, url if url == "memory://" else f"sqlite:///{tmp_path_factory.mktemp('other')}/bank.db"):
        async with bank.open(place) as app:
            await app.execute(Open(account_id="1"), command_id="a")
            await app.execute(Open(account_id="2"), command_id="b")
            made += [event.event.number for event in await recorded(app)]

    assert made[:2] == made[2:]
    assert made[0] != made[1]


async def test_a_decide_that_gives_an_event_it_does_not_name_is_an_error_of_the_code_and_keeps_nothing(
    url: str,
) -> None:
    class Other(Event):
        account_id: str

    liars = Aggregate("account", id="account_id", initial=False)
    liars.evolve(opened)

    @liars.decide
    def lie(exists: bool, command: Open) -> Iterator[Opened]:
        yield Other(account_id=command.account_id)  # type: ignore[misc] # pyright: ignore[reportReturnType]

    async with BoundedContext("liars", aggregates=[liars]).open(url) as app:
        with pytest.raises(TypeError, match=r"lie gave Other"):
            await app.execute(Open(account_id="1"))
        assert await recorded(app) == []


async def test_a_token_says_where_the_log_stood(app: App) -> None:
    receipt = await app.execute(order("1"))

    assert isinstance(receipt.token, Token)
    assert Token(str(receipt.token)).position == 1
    assert receipt.token.log_id == app.log.log_id
