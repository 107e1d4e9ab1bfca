"""How histories of a log are made: clients that call at random, and notes of what they called for and were told.

Notes are plain values that can be pickled, and their times are those of a clock that all processes of a machine share,
so that clients may be tasks, threads or processes that are killed.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from diptych.errors import Conflict, OutcomeUnknown, Unavailable
from diptych.log import (
    Append,
    Condition,
    EventLog,
    EventQuery,
    Match,
    NewEvent,
    NoneNewer,
    Outcome,
    StoredEvent,
    StreamAt,
)
from diptych.testing.linearizability import EVER, Operation, linearize
from diptych.testing.log_model import Answer, Call, Load, ModelLog, Read, Refusal, Seen, Select, step

STREAMS: Sequence[str] = ("a-1", "b-1", "b-2")
TYPES = ("Rose", "Fell")
TAGS = ("t:1", "t:2", "u:1")
EVERYTHING = 1_000_000
"""Events of a page that is longer than any log here."""


class Called(NamedTuple):
    """A client's call; `number` is another one for each call of all clients."""

    number: str
    call: Call
    at: int


class Returned(NamedTuple):
    """The answer to the call of this number."""

    number: str
    answer: Answer
    at: int


Note = Called | Returned
History = list[Operation[Call, Answer]]


class Client:
    """Calls at random, one call after the other, and decides on what it was told: it may be out of date."""

    def __init__(self, name: str, log: EventLog, seed: int, write: Callable[[Note], object]) -> None:
        self._name = name
        self._log = log
        self._dice = random.Random(f"{seed} {name}")  # noqa: S311 - dice
        self._write = write
        self._numbers = itertools.count(1)
        self._versions = dict.fromkeys(STREAMS, 0)
        self._head = 0
        self._sent: list[Append] = []

    async def run(self, calls: int) -> None:
        """Makes so many calls."""
        for _ in range(calls):
            await self._make(self._any_call())

    async def _make(self, call: Call) -> None:
        number = f"{self._name}/{next(self._numbers)}"
        self._write(Called(number, call, time.monotonic_ns()))
        try:
            answer = await answer_to(self._log, call)
        except OutcomeUnknown:
            return
        self._write(Returned(number, answer, time.monotonic_ns()))
        if answer is Refusal.UNAVAILABLE:
            await asyncio.sleep(0.01)
        self._learn(call, answer)

    def _learn(self, call: Call, answer: Answer) -> None:
        match call, answer:
            case Load(stream), Seen(_, version):
                self._versions[stream] = version
            case Select(), Seen(_, head):
                self._head = head
            case _, Outcome(stream=stream, version=version):
                self._versions[stream] = version
            case _:
                return

    def _any_call(self) -> Call:
        dice = self._dice
        match dice.choice(["append", "append", "append", "again", "load", "select", "read"]):
            case "load":
                return Load(dice.choice(STREAMS))
            case "select":
                return Select(self._any_query())
            case "read":
                return Read(max(self._head - dice.randrange(4), 0), dice.choice([1, 3, EVERYTHING]))
            case "again" if self._sent:
                return dice.choice(self._sent[-5:])
            case _:
                return self._any_append()

    def _any_append(self) -> Append:
        dice, stream = self._dice, self._dice.choice(STREAMS)
        id = f"{self._name}-{next(self._numbers)}"
        events = [
            NewEvent(
                dice.choice(TYPES),
                1,
                dice.randbytes(16),
                tuple(dice.sample(TAGS, dice.randrange(3))),
                f'"{id}.{nth}"'.encode(),
            )
            for nth in range(dice.choice([0, 1, 1, 1, 2, 3]))
        ]
        append = Append(
            id, b"body", stream, tuple(events), self._any_condition(stream), b'{"command_id":"%s"}' % id.encode()
        )
        self._sent.append(append)
        return append

    def _any_condition(self, stream: str) -> Condition | None:
        match self._dice.choice(["none", "stream", "stream", "query"]):
            case "stream":
                return StreamAt(self._versions[stream])
            case "query":
                return NoneNewer(self._any_query(), self._head)
            case _:
                return None

    def _any_query(self) -> EventQuery:
        dice = self._dice
        some = [
            Match(
                frozenset(dice.sample(TYPES, dice.randrange(2))),
                frozenset(dice.sample(TAGS, dice.choice([0, 1, 1, 2]))),
            )
            for _ in range(dice.choice([1, 1, 2]))
        ]
        return EventQuery(tuple(some))


async def answer_to(log: EventLog, call: Call) -> Answer:
    """What the log says to a call. Raises OutcomeUnknown."""
    try:
        match call:
            case Load(stream):
                return _seen(*await log.load(stream))
            case Select(query):
                return _seen(*await log.select(query))
            case Read(after, limit):
                page = await log.read(after, limit)
                return _seen(page.events, page.upto.position)
            case _:
                return await log.append(call)
    except Conflict:
        return Refusal.CONFLICT
    except Unavailable:
        return Refusal.UNAVAILABLE


def _seen(events: Iterable[StoredEvent], end: int) -> Seen:
    return Seen(tuple([(event.position, event.data) for event in events]), end)


def history_of(notes: Iterable[Note]) -> History:
    """The operations that the notes tell of."""
    calls: dict[str, Called] = {}
    answers: dict[str, Returned] = {}
    for note in notes:
        if isinstance(note, Called):
            calls[note.number] = note
        else:
            answers[note.number] = note
    return [
        Operation(called.call, answers[number].answer, called.at, answers[number].at)
        if number in answers
        else Operation(called.call, None, called.at, EVER)
        for number, called in calls.items()
    ]


async def check_history(notes: Iterable[Note], log: EventLog) -> History:
    """Finds an order that explains what the notes tell and what the log holds in the end. Raises NotLinearizable."""
    history: History = []
    for operation in history_of(notes):
        if operation.returned != EVER:
            history.append(operation)
        elif isinstance(operation.call, Append) and (outcome := await log.outcome(operation.call.command_id)):
            history.append(operation._replace(answer=outcome))  # which its client was not told
    everything, called = Read(0, EVERYTHING), time.monotonic_ns()
    answer = await answer_to(log, everything)
    history.append(Operation(everything, answer, called, time.monotonic_ns()))
    return linearize(history, ModelLog(), step)
