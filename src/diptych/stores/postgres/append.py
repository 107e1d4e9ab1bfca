"""A group of appends as the bind values of `append_group`, and what that answers as outcomes and errors. No I/O.

What the numbers mean stands with the function, in functions.sql.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from diptych.errors import DiptychError, OutcomeUnknown
from diptych.log import (
    Anchor,
    Append,
    FirstOutcome,
    Match,
    NewEvent,
    NoneNewer,
    Outcome,
    StoredEvent,
    StreamAt,
    boundary_conflict,
    repeated,
    version_conflict,
)

KEPT, ACCEPTED_BEFORE, WRONG_VERSION, NEWER_EVENT = range(4)

NO_TAGS = "[]"

Answers = list[Outcome | DiptychError]


class Place(NamedTuple):
    """Where an event stands in a group: the number of its append, and its number there, both from 1."""

    append: int
    nth: int


class Kept(NamedTuple):
    """Events that were added to the log after a position, and the last of them."""

    began: int
    events: Sequence[StoredEvent]
    end: Anchor


def binds(group: Sequence[Append]) -> list[Any]:
    """The appends in arrays: one row for each append, and one for each event."""
    commands: dict[str, int] = {}
    streams: dict[str, int] = {}
    command_nos = [commands.setdefault(append.command_id, len(commands) + 1) for append in group]
    stream_nos = [streams.setdefault(append.stream, len(streams) + 1) for append in group]
    events = [
        (number, nth, event) for number, append in enumerate(group, 1) for nth, event in enumerate(append.events, 1)
    ]
    return [
        command_nos,
        list(commands),
        [append.fingerprint for append in group],
        stream_nos,
        list(streams),
        [append.condition.version if isinstance(append.condition, StreamAt) else None for append in group],
        [len(append.events) for append in group],
        [append.metadata for append in group],
        *_boundaries(group),
        [number for number, _, _ in events],
        [nth for _, nth, _ in events],
        [event.type for _, _, event in events],
        [event.schema for _, _, event in events],
        [event.event_id for _, _, event in events],
        [tags_text(event) for _, _, event in events],
        [event.data for _, _, event in events],
    ]


def binds_of_one(append: Append) -> list[Any] | None:
    """The bind values of `append_one`, or None where the append is not as simple as that."""
    if len(append.events) != 1 or isinstance(append.condition, NoneNewer):
        return None
    event = append.events[0]
    return [
        append.command_id,
        append.fingerprint,
        append.stream,
        None if append.condition is None else append.condition.version,
        append.metadata,
        event.type,
        event.schema,
        event.event_id,
        tags_text(event),
        event.data,
    ]


def tags_text(event: NewEvent) -> str:
    """An event's tags as they are stored."""
    return msgspec.json.encode(event.tags).decode() if event.tags else NO_TAGS


def boundary_text(conditions: Iterable[tuple[int, NoneNewer]]) -> str:
    """What must not be newer, of the appends with these numbers."""
    return msgspec.json.encode(
        [
            {"append": number, "after": after, "types": sorted(match.types), "tags": sorted(match.tags)}
            for number, (query, after) in conditions
            for match in query.matches
        ]
    ).decode()


def _boundaries(group: Sequence[Append]) -> tuple[str | None, list[int], list[int], list[int], list[int]]:
    conditions = [
        (number, append.condition) for number, append in enumerate(group, 1) if isinstance(append.condition, NoneNewer)
    ]
    if not conditions:
        return None, [], [], [], []
    earlier = Earlier()
    rows: list[tuple[int, Place, int]] = []
    for number, append in enumerate(group, 1):
        if isinstance(append.condition, NoneNewer):
            query, after = append.condition
            rows += [(number, place, after) for match in query.matches for place in earlier.in_boundary(match)]
        earlier.add(number, append.events)
    return (
        boundary_text(conditions),
        [number for number, _, _ in rows],
        [place.append for _, place, _ in rows],
        [place.nth for _, place, _ in rows],
        [after for _, _, after in rows],
    )


class Earlier:
    """The events of a group so far, found by one tag."""

    def __init__(self) -> None:
        self._all: list[tuple[Place, NewEvent]] = []
        self._by_tag: defaultdict[str, list[tuple[Place, NewEvent]]] = defaultdict(list)

    def add(self, number: int, events: Sequence[NewEvent]) -> None:
        """The events of the append with this number."""
        for nth, event in enumerate(events, 1):
            found = (Place(number, nth), event)
            self._all.append(found)
            for tag in set(event.tags):
                self._by_tag[tag].append(found)

    def in_boundary(self, match: Match) -> list[Place]:
        """The events that fit."""
        tag = next(iter(match.tags), None)
        candidates = self._all if tag is None else self._by_tag.get(tag, [])
        return [place for place, event in candidates if match.accepts(event.type, event.tags)]


def answers(
    group: Sequence[Append],
    found: tuple[Sequence[int], Sequence[int], Sequence[int]],
    before: Mapping[str, Outcome],
) -> Answers:
    """One answer for each append. `before` has the known outcomes of commands that were accepted before the group."""
    kept: dict[str, Outcome] = {}
    said: Answers = []
    for append, kind, position, version in zip(group, *found, strict=True):
        if kind == KEPT:
            outcome = kept_outcome(append, position, version)
            kept[append.command_id] = outcome
            said.append(outcome)
        elif kind == ACCEPTED_BEFORE:
            earlier = kept.get(append.command_id) or before.get(append.command_id)
            said.append(unread(append) if earlier is None else repeated(earlier, append.fingerprint))
        else:
            said.append(refusal(append, kind, position, version))
    return said


def kept_events(group: Sequence[Append], kinds: Sequence[int], positions: Sequence[int]) -> Kept:
    """What a group has added to the log; positions are those before each append's first event."""
    kept = [append for append, kind in zip(group, kinds, strict=True) if kind == KEPT]
    events = [(append.stream, event) for append in kept for event in append.events]
    began = min([position for position, kind in zip(positions, kinds, strict=True) if kind == KEPT], default=0)
    return kept_after(began, events)


def kept_after(began: int, events: Sequence[tuple[str, NewEvent]]) -> Kept:
    """Events that were added after a position, each with its stream."""
    stored = [
        StoredEvent(position, stream, event.type, event.schema, event.data)
        for position, (stream, event) in enumerate(events, began + 1)
    ]
    last = events[-1][1].event_id if events else b""
    return Kept(began, stored, Anchor(began + len(events), last))


def accepted_before(group: Sequence[Append], kinds: Sequence[int]) -> list[str]:
    """The command ids whose outcomes stand in the ledger, and not in the group."""
    kept: set[str] = set()
    asked: list[str] = []
    for append, kind in zip(group, kinds, strict=True):
        if kind == KEPT:
            kept.add(append.command_id)
        elif kind == ACCEPTED_BEFORE and append.command_id not in kept:
            asked.append(append.command_id)
    return asked


def kept_outcome(append: Append, position: int, version: int) -> FirstOutcome:
    """The outcome of an append that was kept after this position and version."""
    count = len(append.events)
    return FirstOutcome(
        append.command_id,
        append.fingerprint,
        position + count,
        append.stream,
        version + count,
        tuple([event.type for event in append.events]),
    )


def unread(append: Append) -> OutcomeUnknown:
    """What a command id that was accepted before gets where its first outcome could not be read."""
    return OutcomeUnknown(append.command_id, "its first outcome could not be read")


def refusal(append: Append, kind: int, position: int, version: int) -> DiptychError:
    """The conflict, in the words that every store has for it."""
    match append.condition:
        case StreamAt(expected) if kind == WRONG_VERSION:
            return version_conflict(append.stream, expected, version)
        case NoneNewer(_, after) if kind == NEWER_EVENT:
            return boundary_conflict(after, position)
        case _:
            raise AssertionError(f"kind {kind} without its condition")
