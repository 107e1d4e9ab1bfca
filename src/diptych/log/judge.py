"""The judgement of a group of appends: each against the log's facts and against those kept before it in the group.

Pure, and the same for every backend that judges in Python: what a backend reads under its lock comes in as `Facts`,
what it has to write comes out as `Verdicts`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from diptych.errors import CommandIdReused, Conflict, DiptychError
from diptych.log.conditions import EventQuery, NoneNewer, StreamAt
from diptych.log.events import Append, Batch, FirstOutcome, NewEvent, Outcome, RecordedEvent


class Facts(NamedTuple):
    """What the log says, read under its lock.

    `versions` has every stream of the group that exists; `outcomes` every command id of the group that was accepted
    before; `newest` gives the position of the newest event after a position that fits a query, or None.
    """

    head: int
    recorded_at: int
    versions: Mapping[str, int]
    outcomes: Mapping[str, Outcome]
    newest: Callable[[EventQuery, int], int | None]


class Verdicts(NamedTuple):
    """One answer for each append in order, and the rows to write: events and new ledger entries, both in log order."""

    answers: list[Outcome | DiptychError]
    events: list[RecordedEvent]
    outcomes: list[Outcome]


def judge(group: Sequence[Append], facts: Facts, now: int) -> Verdicts:
    """Judges each append of the group in turn. `now` is microseconds since 1970; the log's time never falls."""
    recorded_at = max(facts.recorded_at, now)
    versions = dict(facts.versions)
    accepted = dict(facts.outcomes)
    answers: list[Outcome | DiptychError] = []
    events: list[RecordedEvent] = []
    outcomes: list[Outcome] = []
    position = facts.head
    for append in group:
        command_id, fingerprint, stream, new_events, condition, metadata = append
        if (earlier := accepted.get(command_id)) is not None:
            answers.append(repeated(earlier, fingerprint))
            continue
        version = versions.get(stream, 0)
        if condition is not None and (conflict := _conflict(append, version, facts, events)) is not None:
            answers.append(conflict)
            continue
        event: NewEvent
        for event in new_events:
            position += 1
            version += 1
            type_, schema, event_id, tags, data = event
            events.append(
                RecordedEvent(position, stream, version, type_, schema, event_id, recorded_at, tags, data, metadata)
            )
        versions[stream] = version
        outcome = FirstOutcome(
            command_id, fingerprint, position, stream, version, tuple([event.type for event in new_events])
        )
        accepted[command_id] = outcome
        outcomes.append(outcome)
        answers.append(outcome)
    return Verdicts(answers, events, outcomes)


def judge_batch(batch: Batch, facts: Facts, now: int) -> Verdicts:
    """Judges a batch, as `judge` does a group; there is one answer."""
    command_id, fingerprint, new_events, expected = batch
    if (earlier := facts.outcomes.get(command_id)) is not None:
        return Verdicts([repeated(earlier, fingerprint)], [], [])
    versions = dict(facts.versions)
    for stream, version in expected.items():
        if (found := versions.get(stream, 0)) != version:
            return Verdicts([version_conflict(stream, version, found)], [], [])
    recorded_at = max(facts.recorded_at, now)
    events: list[RecordedEvent] = []
    for position, (stream, event, metadata) in enumerate(new_events, facts.head + 1):
        version = versions[stream] = versions.get(stream, 0) + 1
        type_, schema, event_id, tags, data = event
        events.append(
            RecordedEvent(position, stream, version, type_, schema, event_id, recorded_at, tags, data, metadata)
        )
    last = events[-1]
    types = tuple([event.type for event in events])
    outcome = FirstOutcome(command_id, fingerprint, last.position, last.stream, last.version, types)
    return Verdicts([outcome], events, [outcome])


def repeated(earlier: Outcome, fingerprint: bytes) -> Outcome | CommandIdReused:
    """What a command id that was accepted before gets: the outcome then, unless its body was another one."""
    return Outcome(*earlier) if earlier.fingerprint == fingerprint else CommandIdReused(earlier.command_id)


def version_conflict(stream: str, expected: int, found: int) -> Conflict:
    """The stream is at another version than expected."""
    return Conflict(f"stream {stream!r} at version {expected}", f"version {found}" if found else "no such stream")


def boundary_conflict(after: int, newest: int) -> Conflict:
    """The boundary has a newer event, at position `newest`."""
    return Conflict(f"no newer event in the boundary after position {after}", f"one at position {newest}")


def _conflict(append: Append, version: int, facts: Facts, pending: Sequence[RecordedEvent]) -> Conflict | None:
    match append.condition:
        case StreamAt(expected) if expected != version:
            return version_conflict(append.stream, expected, version)
        case NoneNewer(query, after):
            newest = next(
                (
                    event.position
                    for event in reversed(pending)
                    if event.position > after and query.accepts(event.type, event.tags)
                ),
                None,
            )
            if newest is None:
                newest = facts.newest(query, after)
            if newest is not None:
                return boundary_conflict(after, newest)
        case _:
            pass
    return None
