"""The contract of an event log, its second half: batches of events of many streams.

`EventLogContract` has all of it; what is common to both halves stands here.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, TypeVar

import pytest

from diptych.errors import CommandIdReused, Conflict, DiptychError, Unavailable
from diptych.log import (
    Append,
    Batch,
    BatchEvent,
    EventLog,
    EventQuery,
    FirstOutcome,
    Match,
    Metadata,
    NewEvent,
    Outcome,
    RecordedEvent,
    StreamAt,
)
from diptych.stores import Store
from diptych.write import uuid7

T = TypeVar("T")


def happened(type: str = "Happened", *tags: str, data: bytes = b"{}") -> NewEvent:
    """A new event with an id of its own."""
    return NewEvent(type, 1, uuid7(time.time_ns() // 1_000_000, os.urandom(10)), tags, data)


async def in_threads(store: Store, *works: Callable[[EventLog], Awaitable[T]]) -> list[T]:
    """Does each work on an opening of its own, in a thread and an event loop of its own, all of them at once."""

    async def opened(work: Callable[[EventLog], Awaitable[T]]) -> T:
        async with store.log() as log:
            return await work(log)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(works)) as pool:
        return list(await asyncio.gather(*[loop.run_in_executor(pool, asyncio.run, opened(work)) for work in works]))


async def everything(log: EventLog) -> Sequence[RecordedEvent]:
    """The whole log."""
    return (await log.read_records(0, 1_000_000)).events


def a_batch(
    id: str, *events: tuple[str, NewEvent], expected: Mapping[str, int] | None = None, body: bytes = b"body"
) -> Batch:
    """A batch of these events, each with its stream; the metadata of each names the place in the batch."""
    placed = [
        BatchEvent(stream, event, Metadata(command_id=f"{id}/{number}").stored())
        for number, (stream, event) in enumerate(events, 1)
    ]
    return Batch(id, body, placed, expected or {})


def an_append_of(stream: str, version: int, id: str) -> Append:
    """One event for a stream at this version."""
    return Append(id, b"body", stream, [happened("Live")], StreamAt(version), Metadata(command_id=id).stored())


async def batch_answer_of(log: EventLog, batch: Batch) -> Outcome | DiptychError:
    """The outcome, or the error that came in place of it."""
    try:
        return await log.append_batch(batch)
    except DiptychError as error:
        return error


class BatchContract:
    """What `append_batch` promises."""

    pytestmark = pytest.mark.asyncio
    rounds: ClassVar[int]

    async def test_a_batch_is_kept_in_its_order_each_event_in_its_stream_with_its_own_metadata(
        self, log: EventLog
    ) -> None:
        await log.append(an_append_of("order-1", 0, "before"))
        events = [
            ("order-1", happened("A", "k:1", "l:1", data=b'{"n":1}')),
            ("order-2", happened("B", "k:1")),
            ("order-1", happened("A")._replace(schema=2)),
            ("order-2", happened("C", "k:2")),
        ]
        outcome = await log.append_batch(a_batch("b", *events))
        assert outcome == Outcome("b", b"body", 5, "order-2", 2, ("A", "B", "A", "C"))
        assert isinstance(outcome, FirstOutcome)
        assert await log.outcome("b") == outcome
        kept = (await everything(log))[1:]
        places = [(record.position, record.stream, record.version) for record in kept]
        assert places == [(2, "order-1", 2), (3, "order-2", 1), (4, "order-1", 3), (5, "order-2", 2)]
        assert [(r.stream, NewEvent(r.type, r.schema, r.event_id, r.tags, r.data)) for r in kept] == events
        assert [r.metadata for r in kept] == [f'{{"command_id":"b/{n}"}}'.encode() for n in range(1, 5)]
        assert len({r.recorded_at for r in kept}) == 1
        tagged = EventQuery((Match(frozenset(), frozenset({"k:1"})),))
        assert [event.position for event in (await log.select(tagged)).events] == [2, 3]
        kinds = [(kind.type, kind.schema, kind.position) for kind in await log.kinds()]
        assert kinds == [("A", 1, 2), ("A", 2, 4), ("B", 1, 3), ("C", 1, 5), ("Live", 1, 1)]
        assert (await log.append(an_append_of("order-1", 3, "after"))).position == 6

    async def test_a_large_batch_is_kept_whole(self, log: EventLog) -> None:
        events = [(f"order-{number % 700}", happened(data=b"%d" % number)) for number in range(5000)]
        outcome = await log.append_batch(a_batch("b", *events))
        assert (outcome.position, outcome.stream, outcome.version) == (5000, "order-99", 8)
        assert [event.data for event in await everything(log)] == [event.data for _, event in events]

    async def test_a_repeated_batch_gets_the_first_outcome_and_keeps_nothing(self, log: EventLog) -> None:
        batch = a_batch("b", ("order-1", happened()), ("order-2", happened()), expected={"order-1": 0})
        outcome = await log.append_batch(batch)
        again = await log.append_batch(batch)
        assert again == outcome
        assert not isinstance(again, FirstOutcome)
        with pytest.raises(CommandIdReused):
            await log.append_batch(batch._replace(fingerprint=b"another"))
        with pytest.raises(CommandIdReused):
            await log.append(an_append_of("order-3", 0, "b")._replace(fingerprint=b"another"))
        assert (await log.head()).position == 2

    async def test_a_batch_with_a_stream_that_is_not_where_it_was_expected_keeps_nothing(self, log: EventLog) -> None:
        await log.append(an_append_of("order-2", 0, "before"))
        events = [("order-1", happened("A", "k:1")), ("order-2", happened()), ("order-1", happened())]
        for expected, words in (
            ({"order-1": 0, "order-2": 0}, ("stream 'order-2' at version 0", "version 1")),
            ({"order-1": 3}, ("stream 'order-1' at version 3", "no such stream")),
            ({"order-9": 1}, ("stream 'order-9' at version 1", "no such stream")),
        ):
            answer = await batch_answer_of(log, a_batch("b", *events, expected=expected))
            assert isinstance(answer, Conflict)
            assert (answer.expected, answer.found) == words
        assert (await log.head()).position == 1
        assert await log.outcome("b") is None
        outcome = await log.append_batch(a_batch("b", *events, expected={"order-1": 0, "order-2": 1, "order-9": 0}))
        assert (outcome.position, outcome.stream, outcome.version) == (4, "order-1", 2)

    @pytest.mark.parametrize("broken", [happened()._replace(schema=2**70), happened()._replace(type="\ud800")])
    async def test_a_batch_that_cannot_be_stored_keeps_nothing(self, log: EventLog, broken: NewEvent) -> None:
        answer = await batch_answer_of(log, a_batch("b", ("order-1", happened()), ("order-2", broken)))
        kept = 2 if isinstance(answer, Outcome) else 0
        assert kept or isinstance(answer, Unavailable)
        assert (await log.head()).position == kept
        assert (await log.append(an_append_of("order-3", 0, "after"))).position == kept + 1

    async def test_batches_and_appends_of_many_at_once_are_each_kept_whole_and_in_order(self, store: Store) -> None:
        """Two import the same, which is kept once; others append to the same streams meanwhile."""

        async def imports(log: EventLog) -> list[Outcome]:
            events = [(f"order-{number % 3}", happened("Batch")) for number in range(10)]
            return [await log.append_batch(a_batch(f"b{number}", *events)) for number in range(self.rounds // 3)]

        async def appends(log: EventLog) -> list[Outcome]:
            kept: list[Outcome] = []
            while len(kept) < self.rounds:
                version = (await log.load("order-1")).version
                try:
                    kept.append(await log.append(an_append_of("order-1", version, os.urandom(8).hex())))
                except Conflict:
                    continue
            return kept

        first, second, *live = await in_threads(store, imports, imports, appends, appends)
        assert first == second
        async with store.log() as log:
            records = await everything(log)
        assert [record.position for record in records] == list(range(1, self.rounds // 3 * 10 + 2 * self.rounds + 1))
        for outcome in first:
            assert {record.type for record in records[outcome.position - 10 : outcome.position]} == {"Batch"}
        for outcome in (*live[0], *live[1]):
            record = records[outcome.position - 1]
            assert (record.type, record.stream, record.version) == ("Live", "order-1", outcome.version)
        for stream in ("order-0", "order-1", "order-2"):
            versions = [record.version for record in records if record.stream == stream]
            assert versions == list(range(1, len(versions) + 1))

    async def test_appends_go_on_between_the_batches_of_one_opening(self, log: EventLog) -> None:
        async def imports() -> None:
            for number in range(5):
                await log.append_batch(a_batch(f"b{number}", *[("order-1", happened("Batch"))] * 100))

        importing = asyncio.create_task(imports())
        positions: list[int] = []
        while not importing.done():
            positions.append((await log.append(an_append_of("order-2", len(positions), f"c{len(positions)}"))).position)
            await asyncio.sleep(0)
        await importing
        assert len(positions) > 2
        assert (await log.head()).position == 500 + len(positions)

    async def test_closing_waits_for_the_batch_in_flight(self, store: Store) -> None:
        async with store.log() as log:
            batch = asyncio.create_task(log.append_batch(a_batch("b", *[("order-1", happened())] * 10)))
            gone = asyncio.create_task(log.append_batch(a_batch("c", *[("order-1", happened())] * 10)))
            await asyncio.sleep(0)
            gone.cancel()
        assert (await batch).position == 10
        async with store.log() as log:
            assert (await log.head()).position in (10, 20)
