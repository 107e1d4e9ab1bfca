"""A log as a pure value, and what it has to answer to each call: the model that concurrent histories are held against.

It is written from the promises of `diptych.log.EventLog` alone, and shares no code with what keeps them.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from diptych.log import Append, EventQuery, FirstOutcome, NoneNewer, Outcome, StreamAt


class Load(NamedTuple):
    """All events of a stream."""

    stream: str


class Select(NamedTuple):
    """All events that fit."""

    query: EventQuery


class Read(NamedTuple):
    """A page of the log."""

    after: int
    limit: int


Call = Append | Load | Select | Read


class Seen(NamedTuple):
    """What a reader was told: positions with the events' data, and the stream's version, the head or the page's end."""

    events: tuple[tuple[int, bytes], ...]
    end: int


class Refusal(Enum):
    """Why an append was not kept. UNAVAILABLE says nothing of the log, and is an answer to any call."""

    CONFLICT = 1
    UNAVAILABLE = 2


Answer = Outcome | Seen | Refusal


class Kept(NamedTuple):
    """An event in its place."""

    position: int
    stream: str
    type: str
    tags: tuple[str, ...]
    data: bytes


class ModelLog(NamedTuple):
    """Everything that was kept. Commands that came at the same time and have no events have no order."""

    events: tuple[Kept, ...] = ()
    outcomes: frozenset[Outcome] = frozenset()


def step(log: ModelLog, call: Call, answer: Answer | None) -> ModelLog | None:
    """The log after the call, or None where that has another answer; see `diptych.testing.linearizability.Step`."""
    if answer is Refusal.UNAVAILABLE:
        return log
    if isinstance(call, Append):
        return _append(log, call, answer)
    return log if answer in (None, seen(log, call)) else None


def seen(log: ModelLog, call: Load | Select | Read) -> Seen:
    """What a reader has to be told."""
    match call:
        case Load(stream):
            events = [event for event in log.events if event.stream == stream]
            return _seen(events, len(events))
        case Select(query):
            return _seen([event for event in log.events if query.accepts(event.type, event.tags)], len(log.events))
        case Read(after, limit):
            events = list(log.events[after : after + limit])
            return _seen(events, events[-1].position if len(events) == limit else len(log.events))


def _seen(events: Sequence[Kept], end: int) -> Seen:
    return Seen(tuple([(event.position, event.data) for event in events]), end)


def _append(log: ModelLog, call: Append, answer: Answer | None) -> ModelLog | None:
    for earlier in log.outcomes:
        if earlier.command_id == call.command_id:
            return log if answer is None or (answer == earlier and not isinstance(answer, FirstOutcome)) else None
    version = sum([event.stream == call.stream for event in log.events])
    if not _holds(log, call, version):
        return log if answer in (None, Refusal.CONFLICT) else None
    head, types = len(log.events), tuple([event.type for event in call.events])
    outcome = Outcome(call.command_id, call.fingerprint, head + len(types), call.stream, version + len(types), types)
    if answer not in (None, outcome):
        return None
    new = [
        Kept(position, call.stream, event.type, event.tags, event.data)
        for position, event in enumerate(call.events, head + 1)
    ]
    return ModelLog((*log.events, *new), log.outcomes | {outcome})


def _holds(log: ModelLog, call: Append, version: int) -> bool:
    match call.condition:
        case None:
            return True
        case StreamAt(expected):
            return version == expected
        case NoneNewer(query, after):
            return not any(query.accepts(event.type, event.tags) for event in log.events[after:])
