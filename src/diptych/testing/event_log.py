"""The contract of an event log as a pytest suite: what `diptych.log.EventLog` promises, held against a store.

The test file of a store gives the fixture `store`, on an empty place, and has the whole suite:

    class TestSqliteLog(EventLogContract):
        @pytest.fixture
        def store(self, tmp_path: Path, clock: Clock) -> Store:
            return SqliteStore(tmp_path / "log.db", clock)

A store that takes its time from elsewhere does without `clock`. Needs pytest and pytest-asyncio.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import itertools
import os
import random
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar, TypeVar

import msgspec
import pytest
import pytest_asyncio

from diptych.errors import CommandIdReused, Conflict, DiptychError, NotAStore
from diptych.log import (
    BEGINNING,
    Anchor,
    Append,
    Condition,
    EventLog,
    EventQuery,
    FirstOutcome,
    Head,
    Match,
    Metadata,
    NewEvent,
    NoneNewer,
    Outcome,
    RecordedEvent,
    Span,
    StoredEvent,
    StreamAt,
    pages,
)
from diptych.stores import Store
from diptych.testing.event_log_batches import BatchContract, everything, happened, in_threads
from diptych.testing.log_history import Client, Note, check_history

T = TypeVar("T")

RACERS = 8
SOON = timedelta(seconds=10)
"""Far longer than anything here takes, on any machine; what never comes costs a test this much."""

HARD_IDS = ["a/b", "100%", "under_score", "it's", 'say "hi"', "semi;colon", "back\\slash", "🙂", "é", "-", "a-b-c", " "]


class Clock:
    """The wall clock in microseconds since 1970, put forward by `jump`."""

    jump = timedelta(0)

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.jump // timedelta(microseconds=1)


_numbers = itertools.count(1)


def an_append(
    stream: str,
    *events: NewEvent,
    condition: Condition | None = None,
    command_id: str | None = None,
    body: bytes = b"body",
) -> Append:
    """An append, by default of a command that was never seen before."""
    command_id = command_id or f"command-{next(_numbers)}"
    metadata = Metadata(command_id=command_id, correlation_id="correlation", causation_id="causation", actor="é🙂")
    return Append(command_id, body, stream, events, condition, msgspec.json.encode(metadata))


def matching(*tags: str, types: Iterable[str] = ()) -> EventQuery:
    """The events of one of these types with all of these tags."""
    return EventQuery((Match(frozenset(types), frozenset(tags)),))


async def answer_of(log: EventLog, append: Append) -> Outcome | DiptychError:
    """The outcome, or the error that came in place of it."""
    try:
        return await log.append(append)
    except DiptychError as error:
        return error


async def in_one_group(log: EventLog, *appends: Append) -> list[Outcome | DiptychError]:
    """What becomes of appends that wait together."""
    return list(await asyncio.gather(*[answer_of(log, append) for append in appends]))


async def found(log: EventLog, span: Span, limit: int) -> list[RecordedEvent]:
    """Every event of the span, page by page."""
    sizes: list[int] = []
    events: list[RecordedEvent] = []
    async for page in pages(log, span, limit):
        sizes.append(len(page))
        events += page
    assert max(sizes, default=0) <= limit
    return events


async def walk(log: EventLog, limit: int, types: Collection[str] | None) -> list[tuple[Sequence[StoredEvent], Anchor]]:
    """The pages of the log from its beginning to its head."""
    head = await log.head()
    pages: list[tuple[Sequence[StoredEvent], Anchor]] = []
    at = 0
    while at < head.position:
        page = await log.read(at, limit, types)
        assert page.upto.position > at, "a page that is not the last one gets further"
        pages.append((page.events, page.upto))
        at = page.upto.position
    return pages


class CountedCommits:
    """Hears of a log's commits, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def committed(self, appends: int, seconds: float, waiting: int) -> None:
        self.count += 1


class EventLogContract(BatchContract):
    """Subclass it with a fixture `store`. `rounds` is how often a race is run."""

    pytestmark = pytest.mark.asyncio
    rounds: ClassVar[int] = 60

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest_asyncio.fixture
    async def log(self, store: Store) -> AsyncGenerator[EventLog]:
        async with store.log() as log:
            yield log

    # Atomic

    async def test_an_append_answers_where_its_last_event_stands(self, log: EventLog) -> None:
        await log.append(an_append("order-1", happened("Placed")))
        append = an_append("order-2", happened("Placed"), happened("Shipped"), condition=StreamAt(0))
        assert await log.append(append) == Outcome(
            append.command_id, b"body", 3, "order-2", 2, types=("Placed", "Shipped")
        )

    async def test_a_refused_append_leaves_nothing_behind(self, log: EventLog) -> None:
        await log.append(an_append("order-1", happened()))
        refused = an_append("order-1", happened("A", "k:1"), happened("B"), happened("C"), condition=StreamAt(0))
        assert isinstance(await answer_of(log, refused), Conflict)
        assert (await log.head()).position == 1
        assert (await log.load("order-1")).version == 1
        assert not (await log.select(matching("k:1"))).events
        assert await log.outcome(refused.command_id) is None
        assert (await log.append(an_append("order-1", happened()))).position == 2

    async def test_no_reader_sees_a_part_of_an_append(self, store: Store) -> None:
        done = threading.Event()

        async def write(log: EventLog) -> list[int]:
            for _ in range(self.rounds * 2):
                await log.append(an_append("order-1", *[happened()] * 5))
            done.set()
            return []

        async def watch(log: EventLog) -> list[int]:
            seen: list[int] = []
            while not done.is_set():
                seen.append((await log.head()).position)
                seen.append((await log.load("order-1")).version)
                seen.append(len((await log.read(0, 1_000_000)).events))
                await asyncio.sleep(0)
            return seen

        _, seen = await in_threads(store, write, watch)
        assert [count for count in seen if count % 5] == []

    async def test_one_of_a_group_that_fails_harms_no_other(self, log: EventLog) -> None:
        await log.append(an_append("order-1", happened("Old", "k:1")))
        group = [
            an_append("order-1", happened("A")),
            an_append("order-1", *[happened("B")] * 7, condition=StreamAt(1)),
            an_append("order-2", happened("C"), condition=StreamAt(0)),
            an_append("order-2", happened("D"), happened("D"), condition=NoneNewer(matching("k:1"), 0)),
            an_append("order-1", happened("E"), happened("F"), condition=StreamAt(2)),
        ]
        first, lost, third, lost_too, last = await in_one_group(log, *group)
        assert isinstance(lost, Conflict)
        assert isinstance(lost_too, Conflict)
        assert [first, third, last] == [
            Outcome(group[0].command_id, b"body", 2, "order-1", 2, ("A",)),
            Outcome(group[2].command_id, b"body", 3, "order-2", 1, ("C",)),
            Outcome(group[4].command_id, b"body", 5, "order-1", 4, ("E", "F")),
        ]
        assert [event.type for event in await everything(log)] == ["Old", "A", "C", "E", "F"]

    @pytest.mark.parametrize("broken", [happened()._replace(schema=2**70), happened()._replace(type="\ud800")])
    async def test_an_event_that_cannot_be_stored_harms_no_other_append(self, log: EventLog, broken: NewEvent) -> None:
        group = [
            an_append("order-1", happened("A")),
            an_append("order-2", happened("B"), broken, happened("B")),
            an_append("order-3", happened("C"), happened("C")),
        ]
        before, answer, after = await in_one_group(log, *group)
        assert isinstance(before, Outcome), before
        assert isinstance(after, Outcome), after
        assert (before.version, after.version) == (1, 2)
        kept = 3 if isinstance(answer, Outcome) else 0
        assert (await log.load("order-2")).version == kept, "all or nothing"
        assert (await log.head()).position == 3 + kept

    async def test_a_large_append_is_kept_whole(self, log: EventLog) -> None:
        events = [happened(data=b'"' + os.urandom(500).hex().encode() + b'"') for _ in range(2000)]
        outcome = await log.append(an_append("order-1", *events))
        assert (outcome.position, outcome.version) == (2000, 2000)
        assert [event.data for event in (await log.load("order-1")).events] == [event.data for event in events]

    # Conditional

    async def test_a_stream_condition_names_what_it_expected_and_found(self, log: EventLog) -> None:
        await log.append(an_append("order-1", happened(), happened(), condition=StreamAt(0)))
        for stream, expected, found in [("order-1", 1, "version 2"), ("order-1", 0, "version 2"), ("order-9", 1, "no")]:
            with pytest.raises(Conflict) as raised:
                await log.append(an_append(stream, happened(), condition=StreamAt(expected)))
            assert f"version {expected}" in raised.value.expected
            assert found in raised.value.found
        assert (await log.append(an_append("order-1", happened(), condition=StreamAt(2)))).version == 3

    @pytest.mark.parametrize(
        ("query", "fits"),
        [
            (matching("a:1"), True),
            (matching("a:2"), True),
            (matching("a:1", "b:1"), True),
            (matching("a:1", "b:2"), False),
            (matching("a:1", types=["New"]), True),
            (matching("a:1", types=["Old", "New"]), True),
            (matching("a:1", types=["Old"]), False),
            (matching(types=["New"]), True),
            (matching(types=["Old"]), False),
            (matching(types=["new"]), False),
            (matching("A:1"), False),
            (matching("a:"), False),
            (matching("a:%"), False),
            (matching("old:1"), False),
            (matching(), True),
            (EventQuery(()), False),
            (EventQuery((*matching("no:1").matches, *matching("b:1").matches)), True),
            (EventQuery((*matching("no:1").matches, *matching(types=["Old"]).matches)), False),
        ],
    )
    async def test_a_query_condition_fails_on_a_newer_event_that_fits(
        self, log: EventLog, query: EventQuery, *, fits: bool
    ) -> None:
        await log.append(an_append("order-1", happened("Old", "a:1", "b:2", "old:1")))
        await log.append(an_append("order-1", happened("New", "a:1", "a:2", "b:1"), happened("Other", "c:1")))
        answer = await answer_of(log, an_append("order-2", happened(), condition=NoneNewer(query, 1)))
        assert isinstance(answer, Conflict if fits else Outcome), answer
        if isinstance(answer, Conflict):
            assert "position 1" in answer.expected
            assert "position" in answer.found
        head = (await log.head()).position
        assert isinstance(
            await answer_of(log, an_append("order-3", happened(), condition=NoneNewer(query, head))), Outcome
        )

    async def test_appends_of_one_group_see_each_other(self, log: EventLog) -> None:
        seat = NoneNewer(matching("seat:1"), 0)
        answers = await in_one_group(
            log,
            an_append("order-1", happened(), condition=StreamAt(0)),
            an_append("order-1", happened(), condition=StreamAt(0)),
            an_append("order-1", happened(), condition=StreamAt(1)),
            an_append("order-2", happened("Sold", "seat:1"), condition=seat),
            an_append("order-3", happened("Sold", "seat:1"), condition=seat),
            an_append("order-4", happened("Sold", "seat:2"), condition=seat),
        )
        assert [isinstance(answer, Outcome) for answer in answers] == [True, False, True, True, False, False]

    @pytest.mark.parametrize("by", ["version", "tag"])
    async def test_of_racers_in_threads_exactly_one_is_kept(self, store: Store, by: str) -> None:
        start = threading.Barrier(RACERS, timeout=10)

        async def race(log: EventLog) -> list[Outcome | DiptychError]:
            answers: list[Outcome | DiptychError] = []
            for number in range(self.rounds):
                condition = StreamAt(number) if by == "version" else NoneNewer(matching(f"round:{number}"), 0)
                append = an_append("race-1", happened("Won", f"round:{number}"), condition=condition)
                start.wait()
                answers.append(await answer_of(log, append))
            return answers

        answers = await in_threads(store, *[race] * RACERS)
        for number, round in enumerate(zip(*answers, strict=True)):
            kept = [answer for answer in round if isinstance(answer, Outcome)]
            refused = [answer for answer in round if isinstance(answer, Conflict)]
            assert (len(kept), len(refused)) == (1, RACERS - 1), f"round {number}: {round}"
        async with store.log() as log:
            assert (await log.load("race-1")).version == self.rounds

    @pytest.mark.parametrize("by", ["version", "tag"])
    async def test_of_racers_in_one_loop_exactly_one_is_kept(self, log: EventLog, by: str) -> None:
        for number in range(self.rounds):
            condition = StreamAt(number) if by == "version" else NoneNewer(matching(f"round:{number}"), 0)
            event = happened("Won", f"round:{number}")
            answers = await in_one_group(log, *[an_append("race-1", event, condition=condition) for _ in range(RACERS)])
            assert [isinstance(answer, Outcome) for answer in answers].count(True) == 1
        assert (await log.load("race-1")).version == self.rounds

    async def test_an_unconditional_append_races_conditional_ones_and_the_stream_keeps_its_order(
        self, store: Store
    ) -> None:
        async def careless(log: EventLog) -> int:
            for _ in range(self.rounds):
                await log.append(an_append("order-1", happened("Careless"), happened("Careless")))
            return 0

        async def careful(log: EventLog) -> int:
            kept = 0
            while kept < self.rounds:
                seen = (await log.load("order-1")).version
                event = happened("Careful", data=msgspec.json.encode(seen))
                answer = await answer_of(log, an_append("order-1", event, condition=StreamAt(seen)))
                kept += isinstance(answer, Outcome)
            return kept

        await in_threads(store, careless, careful, careless, careful)
        async with store.log() as log:
            records = await everything(log)
            loaded = await log.load("order-1")
        assert [record.version for record in records] == list(range(1, 6 * self.rounds + 1))
        assert [event.position for event in loaded.events] == [record.position for record in records]
        for record in records:
            if record.type == "Careful":
                assert record.version == msgspec.json.decode(record.data) + 1, "it stands where it was decided"

    @pytest.mark.parametrize("seed", range(3))
    async def test_what_racing_clients_are_told_could_have_happened_one_call_after_the_other(
        self, store: Store, seed: int
    ) -> None:
        notes: list[Note] = []

        async def race(opening: int, log: EventLog) -> None:
            names = [f"{opening}-{each}" for each in range(3)]
            await asyncio.gather(*[Client(name, log, seed, notes.append).run(self.rounds) for name in names])

        await in_threads(store, *[partial(race, opening) for opening in range(4)])
        async with store.log() as log:
            await check_history(notes, log)

    # Gapless and in order

    async def test_a_follower_sees_every_event_in_order_while_others_write(self, store: Store) -> None:
        writers, total = 3, 3 * self.rounds * 2

        async def write(log: EventLog) -> list[int]:
            for _ in range(self.rounds):
                await in_one_group(log, an_append("order-1", happened()), an_append("order-2", happened()))
            return []

        async def follow(log: EventLog) -> list[int]:
            seen: list[int] = []
            while len(seen) < total and await log.wait_past(len(seen), SOON):
                page = await log.read(len(seen), 7)
                seen += [event.position for event in page.events]
                assert page.upto.position == len(seen), "it never moves past an event that it has not seen"
            return seen

        followed = await in_threads(store, *[write] * writers, follow, follow)
        assert followed[writers:] == [list(range(1, total + 1))] * 2

    # Once

    @pytest.mark.parametrize("events", [[], [happened("A"), happened("B")]], ids=["empty", "two events"])
    async def test_a_repeated_command_gets_the_first_outcome(self, log: EventLog, events: list[NewEvent]) -> None:
        await log.append(an_append("order-0", happened()))
        first = an_append("order-1", *events, condition=StreamAt(0), command_id="c")
        outcome = await log.append(first)
        assert outcome == Outcome("c", b"body", 1 + len(events), "order-1", len(events), tuple(e.type for e in events))
        await log.append(an_append("order-1", happened()))
        again = an_append("order-1", happened("Other"), condition=StreamAt(0), command_id="c")
        for repeated in (first, again):
            answer = await log.append(repeated)
            assert answer == outcome
            assert not isinstance(answer, FirstOutcome), "its events are not those of this append"
        assert await log.outcome("c") == outcome
        assert (await log.head()).position == 2 + len(events)

    @pytest.mark.parametrize("events", [[], [happened("A"), happened("B")]], ids=["empty", "two events"])
    async def test_a_command_id_with_another_body_is_refused(self, log: EventLog, events: list[NewEvent]) -> None:
        outcome = await log.append(an_append("order-1", *events, command_id="c"))
        with pytest.raises(CommandIdReused) as raised:
            await log.append(an_append("order-1", happened(), command_id="c", body=b"another"))
        assert raised.value.command_id == "c"
        assert await log.outcome("c") == outcome
        assert (await log.head()).position == len(events)

    async def test_a_command_is_kept_once_in_its_own_group(self, log: EventLog) -> None:
        first, second, other, last = await in_one_group(
            log,
            an_append("order-1", happened("A"), condition=StreamAt(0), command_id="c"),
            an_append("order-1", happened("A"), condition=StreamAt(0), command_id="c"),
            an_append("order-1", happened("A"), command_id="c", body=b"another"),
            an_append("order-1", happened("B"), condition=StreamAt(1), command_id="d"),
        )
        assert first == second == Outcome("c", b"body", 1, "order-1", 1, ("A",))
        assert isinstance(other, CommandIdReused)
        assert last == Outcome("d", b"body", 2, "order-1", 2, ("B",))

    async def test_a_command_that_is_sent_by_many_at_once_is_kept_once(self, store: Store) -> None:
        start = threading.Barrier(RACERS, timeout=10)

        async def send(log: EventLog) -> list[Outcome | DiptychError]:
            answers: list[Outcome | DiptychError] = []
            for number in range(self.rounds):
                append = an_append("order-1", happened(), condition=StreamAt(number), command_id=f"c{number}")
                start.wait()
                answers.append(await answer_of(log, append))
            return answers

        answers = await in_threads(store, *[send] * RACERS)
        for number, round in enumerate(zip(*answers, strict=True), 1):
            assert set(round) == {Outcome(f"c{number - 1}", b"body", number, "order-1", number, ("Happened",))}

    async def test_a_refused_command_is_forgotten(self, log: EventLog) -> None:
        assert isinstance(
            await answer_of(log, an_append("order-1", condition=StreamAt(1), command_id="c", body=b"old")), Conflict
        )
        assert (await log.append(an_append("order-1", happened(), command_id="c", body=b"new"))).fingerprint == b"new"

    async def test_the_outcome_of_an_unknown_command_is_none(self, log: EventLog) -> None:
        assert await log.outcome("nobody's") is None

    # Waking

    async def test_waiting_ends_with_the_time(self, log: EventLog) -> None:
        await log.append(an_append("order-1", happened()))
        begun = time.monotonic()
        assert not await log.wait_past(1, timedelta(milliseconds=60))
        assert 0.05 <= time.monotonic() - begun < 5
        assert await log.wait_past(0, timedelta(0))
        assert not await log.wait_past(1, timedelta(0))

    async def test_a_follower_is_woken_by_the_same_opening(self, log: EventLog) -> None:
        waiting = [asyncio.create_task(log.wait_past(position, SOON)) for position in (0, 1, 2)]
        given_up = asyncio.create_task(log.wait_past(0, SOON))
        await asyncio.sleep(0.01)
        given_up.cancel()
        await log.append(an_append("order-1", happened(), happened()))
        begun = time.monotonic()
        assert await asyncio.gather(*waiting[:2]) == [True, True]
        assert time.monotonic() - begun < 1
        assert not waiting[2].done(), "the log has nothing past position 2"
        await log.append(an_append("order-1", happened()))
        assert await waiting[2]

    async def test_a_follower_is_woken_by_another_opening(self, store: Store, log: EventLog) -> None:
        async with store.log() as other:
            waiting = asyncio.create_task(log.wait_past(0, SOON))
            await asyncio.sleep(0.01)
            await other.append(an_append("order-1", happened()))
            begun = time.monotonic()
            assert await waiting
            assert time.monotonic() - begun < 1

    async def test_a_follower_is_woken_across_threads(self, store: Store, log: EventLog) -> None:
        async def write(other: EventLog) -> float:
            await asyncio.sleep(0.05)
            await other.append(an_append("order-1", happened()))
            return time.monotonic()

        woken, appended = await asyncio.gather(log.wait_past(0, SOON), in_threads(store, write))
        assert woken
        assert time.monotonic() - appended[0] < 1
        assert [event.position for event in (await log.read(0)).events] == [1]

    # One context's

    async def test_a_log_belongs_to_the_first_context_that_is_opened_on_it(self, store: Store, log: EventLog) -> None:
        async with store.log(context="shop") as own:
            await own.append(an_append("order-1", happened()))
        for _ in range(2):
            with pytest.raises(NotAStore, match="'shop', and not of 'library'"):
                async with store.log(context="library"):
                    pass
        async with store.log(context="shop") as again, store.log() as as_it_stands:
            assert [(await one.head()).position for one in (log, again, as_it_stands)] == [1, 1, 1]

    async def test_of_contexts_that_are_opened_at_once_one_has_the_log(self, store: Store, log: EventLog) -> None:
        async def is_owner(name: str) -> bool:
            try:
                async with store.log(context=name):
                    return True
            except NotAStore:
                return False

        def opened(name: str) -> Callable[[EventLog], Awaitable[bool]]:
            return lambda _: is_owner(name)

        names = ["shop", "library"] * 3
        owners = await in_threads(store, *[opened(name) for name in names])
        assert len({name for name, is_one in zip(names, owners, strict=True) if is_one}) == 1
        assert sum(owners) == 3

    # In time order

    async def test_recorded_at_never_falls_whatever_the_clock_does(self, store: Store, clock: Clock) -> None:
        hour = timedelta(hours=1)
        for jump in (timedelta(0), hour, -hour, timedelta(0), 2 * hour, hour):
            clock.jump = jump
            async with store.log() as log:
                await log.append(an_append("order-1", happened(), happened()))
        async with store.log() as log:
            times = [record.recorded_at for record in await everything(log)]
            assert times == sorted(times)
            assert [await log.recorded_at(position) for position in range(1, 13)] == times
            assert (await log.head()).recorded_at == times[-1]

    async def test_time_begins_in_1970_whatever_the_clock_says(self, store: Store, clock: Clock) -> None:
        clock.jump = timedelta(days=-365 * 100)
        async with store.log() as log:
            await log.append(an_append("order-1", happened()))
            assert (await log.head()).recorded_at == 0

    async def test_recorded_at_is_the_time_of_the_append(self, log: EventLog) -> None:
        before = time.time_ns() // 1000
        await log.append(an_append("order-1", happened()))
        assert before - 60_000_000 <= (await log.head()).recorded_at <= time.time_ns() // 1000 + 60_000_000

    # Reading

    async def test_an_empty_log_reads_as_nothing(self, log: EventLog) -> None:
        assert await log.head() == Head(0, b"", 0)
        for page in (await log.read(0), await log.read(7), await log.read_records(0, types=["A"])):
            assert (list(page.events), page.upto) == ([], BEGINNING)
        boundary = await log.select(matching())
        assert (list(boundary.events), boundary.head) == ([], 0)
        stream = await log.load("order-1")
        assert (list(stream.events), stream.version) == ([], 0)
        assert await log.anchor(0) == BEGINNING
        assert await log.anchor(1) is None
        assert await log.recorded_at(0) is None

    async def test_a_stream_is_loaded_in_order_and_alone(self, log: EventLog) -> None:
        names = ["order-1", "order-11", "order-", "Order-1", "order_1", "order%", "reorder-1"]
        for number in range(3):
            for name in names:
                await log.append(an_append(name, happened(f"T{number}", data=name.encode())))
        for offset, name in enumerate(names, 1):
            events, version = await log.load(name)
            assert version == 3
            assert [tuple(event) for event in events] == [
                (number * len(names) + offset, name, f"T{number}", 1, name.encode()) for number in range(3)
            ]

    async def test_a_stream_is_loaded_from_a_version_on(self, log: EventLog) -> None:
        events = [happened(f"E{number}") for number in range(4)]
        await log.append(an_append("order-1", *events))
        await log.append(an_append("order-2", happened("Other")))
        for after in range(5):
            found, version = await log.load("order-1", after)
            assert [event.type for event in found] == [event.type for event in events[after:]]
            assert version == 4
        assert (await log.load("order-3", 0)).version == 0

    async def test_whatever_is_recorded_is_read_again_to_the_byte(self, log: EventLog) -> None:
        written: list[tuple[Append, NewEvent]] = []
        for data in (b"{}", b"", '{"名":"é🙂"}'.encode(), bytes(range(256)), b"x" * 300_000):
            event = happened("Événement 🙂", 'tag:"quoted"', "tag:it's", "名:🙂", data=data)._replace(schema=17)
            written.append((an_append("order-é", event), event))
            await log.append(written[-1][0])
        page = await log.read_records(0)
        for position, (record, (append, event)) in enumerate(zip(page.events, written, strict=True), 1):
            assert record == RecordedEvent(
                position,
                "order-é",
                position,
                event.type,
                17,
                event.event_id,
                record.recorded_at,
                event.tags,
                event.data,
                append.metadata,
            )
            metadata = msgspec.json.decode(record.metadata, type=Metadata)
            assert (metadata.command_id, metadata.actor) == (append.command_id, "é🙂")
        assert [event[:4] for event in (await log.read(0)).events] == [
            (record.position, record.stream, record.type, record.schema) for record in page.events
        ]

    @pytest.mark.parametrize("id", HARD_IDS)
    async def test_an_id_may_hold_any_printable_character(self, log: EventLog, id: str) -> None:
        stream, tag = f"order-{id}", f"id:{id}"
        await log.append(an_append("order-other", happened("Other", "id:other")))
        outcome = await log.append(an_append(stream, happened(id, tag), command_id=id))
        assert (outcome.stream, outcome.version, outcome.types) == (stream, 1, (id,))
        assert await log.outcome(id) == outcome
        assert [event.position for event in (await log.load(stream)).events] == [2]
        assert [event.position for event in (await log.select(matching(tag, types=[id]))).events] == [2]
        assert [event.type for event in (await log.read(0, types=[id])).events] == [id]
        for condition in (StreamAt(0), NoneNewer(matching(tag), 1), NoneNewer(matching(types=[id]), 1)):
            assert isinstance(await answer_of(log, an_append(stream, condition=condition)), Conflict)
        for condition in (StreamAt(1), NoneNewer(matching(tag), 2)):
            assert isinstance(await answer_of(log, an_append(stream, condition=condition)), Outcome)

    async def test_select_gives_what_fits_once_and_in_log_order(self, log: EventLog) -> None:
        await log.append(an_append("a-1", happened("A", "k:1", "k:2"), happened("B", "k:2"), happened("C")))
        await log.append(an_append("a-2", happened("A", "k:2"), happened("B", "k:1", "k:2", "k:2")))
        either = EventQuery((*matching("k:2", types=["B"]).matches, *matching("k:1").matches))
        for query, positions in [
            (matching("k:1"), [1, 5]),
            (matching("k:1", "k:2"), [1, 5]),
            (matching("k:2", types=["A"]), [1, 4]),
            (matching(types=["C", "A"]), [1, 3, 4]),
            (either, [1, 2, 5]),
            (matching(), [1, 2, 3, 4, 5]),
            (matching("k:3"), []),
            (EventQuery(()), []),
        ]:
            boundary = await log.select(query)
            assert ([event.position for event in boundary.events], boundary.head) == (positions, 5)

    async def test_pages_skip_nothing_whatever_their_size(self, log: EventLog) -> None:
        dice = random.Random(5)  # noqa: S311 - the same in every run
        types = [dice.choice("AAAABC") for _ in range(40)] + ["A"] * 5
        for position, type in enumerate(types, 1):
            await log.append(an_append(f"order-{position % 3}", happened(type)))
        for wanted in (None, ("A",), ("B", "C"), ("C",), ("D",), ()):
            expected = [number for number, type in enumerate(types, 1) if wanted is None or type in wanted]
            for limit in (1, 2, 3, 7, 44, 45, 46):
                seen: list[int] = []
                for events, upto in await walk(log, limit, wanted):
                    assert len(events) <= limit
                    seen += [event.position for event in events]
                    assert seen == [position for position in expected if position <= upto.position]
                    assert upto == await log.anchor(upto.position)
                assert seen == expected

    async def test_whole_records_come_in_the_same_pages(self, log: EventLog) -> None:
        await log.append(an_append("order-1", *[happened(type) for type in "ABCABCBBA"]))
        for types in (None, ("A",), ("B", "C"), ("D",), ()):
            for after, limit in itertools.product((0, 1, 4, 9, 12), (1, 2, 5, 100)):
                events, *rest = await log.read(after, limit, types)
                records, *same = await log.read_records(after, limit, types)
                assert rest == same
                assert [event.position for event in events] == [record.position for record in records]

    @pytest.mark.parametrize(
        "span",
        [
            Span(),
            Span(stream="order-1"),
            Span(stream="order-1", types=frozenset({"B"}), tags=frozenset({"k:1"})),
            Span(stream="nothing-1"),
            Span(category="order"),
            Span(category="ord"),
            Span(category="order", types=frozenset({"A", "C"})),
            Span(types=frozenset({"A"})),
            Span(types=frozenset({"Z"})),
            Span(tags=frozenset({"k:1"})),
            Span(tags=frozenset({"k:1", "k:2"})),
            Span(tags=frozenset({"k:1"}), types=frozenset({"B"}), category="order"),
            Span(after=3, before=9),
            Span(after=3, before=9, stream="order-1"),
            Span(after=3, before=9, tags=frozenset({"k:1"})),
            Span(after=9, before=3),
            Span(after=50),
        ],
    )
    async def test_a_span_is_found_whole_in_pages_of_any_size_in_both_directions(
        self, log: EventLog, span: Span
    ) -> None:
        for number in range(4):
            for stream in ("order-1", "order-2", "orderly-1", "ord"):
                tags = [f"k:{tag}" for tag in (1, 2) if number % (tag + 1) == 0]
                await log.append(an_append(stream, happened("ABC"[number % 3], *tags)))
        fitting = [event for event in await everything(log) if span.accepts(event)]
        for limit in (1, 3, 100):
            assert await found(log, span, limit) == fitting
            assert await found(log, span._replace(backwards=True), limit) == fitting[::-1]

    async def test_reading_past_the_end_gives_nothing_and_the_end(self, log: EventLog) -> None:
        await log.append(an_append("order-1", happened(), happened()))
        end = await log.anchor(2)
        for after, types in itertools.product((2, 3, 1_000_000), (None, ("Happened",))):
            page = await log.read(after, 10, types)
            assert (list(page.events), page.upto) == ([], end)

    async def test_a_page_says_which_event_it_was_read_after_if_there_is_one(self, log: EventLog) -> None:
        assert (await log.read(0)).since == BEGINNING
        assert (await log.read(1)).since is None
        await log.append(an_append("order-1", happened("A"), happened("B"), happened("C")))
        for after, types, limit in itertools.product(range(6), (None, ("B",), ("D",)), (1, 9)):
            assert (await log.read(after, limit, types)).since == await log.anchor(after)

    async def test_a_page_without_wanted_events_reaches_the_head(self, log: EventLog) -> None:
        await log.append(an_append("order-1", *[happened("Dull")] * 50))
        page = await log.read(0, 10, ["Rare"])
        assert (list(page.events), page.upto) == ([], await log.anchor(50))

    async def test_the_kinds_of_events_are_known_with_the_first_of_each(self, log: EventLog) -> None:
        assert await log.kinds() == []
        for type, schema in (("B", 2), ("A", 1), ("B", 2), ("B", 1), ("A", 1)):
            await log.append(an_append("s-1", happened(type)._replace(schema=schema)))
        assert [tuple(kind) for kind in await log.kinds()] == [("A", 1, 2), ("B", 1, 4), ("B", 2, 1)]

    async def test_an_anchor_is_the_id_of_the_event_there(self, log: EventLog) -> None:
        events = [happened() for _ in range(3)]
        await log.append(an_append("order-1", *events))
        assert await log.anchor(0) == BEGINNING
        assert [await log.anchor(position) for position in (1, 2, 3)] == [
            Anchor(position, event.event_id) for position, event in enumerate(events, 1)
        ]
        assert await log.anchor(4) is None
        assert (await log.head())[:2] == (3, events[-1].event_id)
        assert await log.recorded_at(4) is None

    # Opening and closing

    async def test_a_log_keeps_its_id_and_its_events_when_it_is_opened_again(self, store: Store) -> None:
        async with store.log() as log:
            id = log.log_id
            outcome = await log.append(an_append("order-1", happened("A", "k:1"), command_id="c"))
            kept = await everything(log)
        assert len(id) == 16
        assert set(id) <= set("0123456789abcdef")
        async with store.log() as log:
            assert log.log_id == id
            assert await everything(log) == kept
            assert await log.append(an_append("order-1", happened(), command_id="c")) == outcome
            assert isinstance(await answer_of(log, an_append("order-1", condition=StreamAt(0))), Conflict)
            assert isinstance(
                await answer_of(log, an_append("order-2", condition=NoneNewer(matching("k:1"), 0))), Conflict
            )

    async def test_closing_waits_for_the_appends_in_flight(self, store: Store) -> None:
        async with store.log() as log:
            waiting = [asyncio.create_task(log.append(an_append("order-1", happened()))) for _ in range(20)]
            await asyncio.sleep(0)
        assert [outcome.position for outcome in await asyncio.gather(*waiting)] == list(range(1, 21))
        async with store.log() as log:
            assert (await log.head()).position == 20

    async def test_nobody_waits_behind_more_than_two_commits(self, store: Store) -> None:
        commits = CountedCommits()

        async def append_often(log: EventLog, client: int) -> list[int]:
            waited: list[int] = []
            for _ in range(self.rounds):
                before = commits.count
                await log.append(an_append(f"order-{client}", happened()))
                waited.append(commits.count - before)
            return waited

        async with store.log(commits) as log:
            waits = await asyncio.gather(*[append_often(log, client) for client in range(20)])
        assert max(map(max, waits)) <= 2, "the commit in flight, and its own"

    async def test_a_caller_that_goes_away_takes_no_other_append_with_it(self, log: EventLog) -> None:
        waiting = [asyncio.create_task(log.append(an_append("order-1", happened(f"T{n}")))) for n in range(6)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[3].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(answer, Outcome) for answer in answers] == [False, True, True, False, True, True]
        records = await everything(log)
        assert [record.position for record in records] == list(range(1, len(records) + 1))
        assert {"T1", "T2", "T4", "T5"} <= {record.type for record in records}
