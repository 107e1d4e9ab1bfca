"""Histories of a log are checked from end to end: one that keeps its promises passes, and each lie is found out."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from diptych import Conflict, OutcomeUnknown, Unavailable
from diptych.log import Append, Boundary, EventLog, EventQuery, FirstOutcome, Outcome, Page, StreamEvents
from diptych.stores.memory import MemoryStore
from diptych.testing.linearizability import NotLinearizable
from diptych.testing.log_history import Client, Note, check_history

_numbers = itertools.count(1)


class Lying:
    """A log that passes everything on to a true one, and tells a lie now and then."""

    def __init__(self, true: EventLog) -> None:
        self.true = true
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)

    async def now_and_then(self, lie: Callable[[], Awaitable[Any]], truth: Awaitable[Any]) -> Any:
        self.calls += 1
        if self.calls % 20:
            return await truth
        truth.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        return await lie()


class StaleStream(Lying):
    async def load(self, stream: str) -> StreamEvents:
        events, version = await self.true.load(stream)
        return StreamEvents(events[:-1], version - 1) if version > 3 else StreamEvents(events, version)


class StaleBoundary(Lying):
    async def select(self, query: EventQuery) -> Boundary:
        events, head = await self.true.select(query)
        return Boundary(events[:-1], head) if head > 10 else Boundary(events, head)


class EarlyEnd(Lying):
    async def read(self, after: int, limit: int) -> Page:
        page = await self.true.read(after, limit)
        return page if limit > 3 or len(page.events) < 3 else page._replace(events=page.events[:2])


class Lost(Lying):
    async def append(self, append: Append) -> Outcome:
        async def lose() -> Outcome:
            position = (await self.true.head()).position + len(append.events)
            version = (await self.true.load(append.stream)).version + len(append.events)
            types = tuple([event.type for event in append.events])
            return Outcome(append.command_id, append.fingerprint, position, append.stream, version, types)

        outcome: Outcome = await self.now_and_then(lose, self.true.append(append))
        return outcome


class Doubled(Lying):
    async def append(self, append: Append) -> Outcome:
        async def double() -> Outcome:
            outcome = await self.true.append(append)
            await self.true.append(append._replace(command_id=f"another-{next(_numbers)}", condition=None))
            return outcome

        outcome: Outcome = await self.now_and_then(double, self.true.append(append))
        return outcome


class TwoWinners(Lying):
    async def append(self, append: Append) -> Outcome:
        return await self.true.append(append._replace(condition=None))


class KeptAndRefused(Lying):
    error: Exception = Conflict("one thing", "another")

    async def append(self, append: Append) -> Outcome:
        async def refuse() -> Outcome:
            await self.true.append(append._replace(condition=None))
            raise self.error

        outcome: Outcome = await self.now_and_then(refuse, self.true.append(append))
        return outcome


class KeptAndUnavailable(KeptAndRefused):
    error = Unavailable("it was not kept")


class Torn(Lying):
    async def append(self, append: Append) -> Outcome:
        await self.true.append(append._replace(events=append.events[:2]))
        types = tuple([event.type for event in append.events])
        outcome = await self.true.outcome(append.command_id)
        assert outcome is not None
        missing = len(types) - len(outcome.types)
        return outcome._replace(types=types, position=outcome.position + missing, version=outcome.version + missing)


class FirstTwice(Lying):
    """Says of a repeated command that it was kept just now."""

    async def append(self, append: Append) -> Outcome:
        return FirstOutcome(*await self.true.append(append))


class InDoubt(Lying):
    """Does what it is told or does it not, and does not know."""

    async def append(self, append: Append) -> Outcome:
        async def wonder() -> Outcome:
            if self.calls % 40:
                await self.true.append(append)
            raise OutcomeUnknown(append.command_id, "made to be so")

        outcome: Outcome = await self.now_and_then(wonder, self.true.append(append))
        return outcome


async def told_by(kind: type[Lying], seed: int) -> tuple[list[Note], EventLog]:
    async with MemoryStore(lambda: 0).log() as log:
        notes: list[Note] = []
        lying: Any = kind(log)
        await asyncio.gather(*[Client(f"{name}", lying, seed, notes.append).run(60) for name in range(6)])
        return notes, log


@pytest.mark.parametrize("kind", [Lying, InDoubt])
@pytest.mark.parametrize("seed", range(3))
async def test_a_log_that_keeps_its_promises_passes(kind: type[Lying], seed: int) -> None:
    notes, log = await told_by(kind, seed)
    assert len(await check_history(notes, log)) > 300


@pytest.mark.parametrize(
    "kind",
    [
        StaleStream,
        StaleBoundary,
        EarlyEnd,
        Lost,
        Doubled,
        TwoWinners,
        KeptAndRefused,
        KeptAndUnavailable,
        Torn,
        FirstTwice,
    ],
)
@pytest.mark.parametrize("seed", range(3))
async def test_a_log_that_lies_is_found_out(kind: type[Lying], seed: int) -> None:
    notes, log = await told_by(kind, seed)
    with pytest.raises(NotLinearizable):
        await check_history(notes, log)
