"""A small model with every way for an event to change a row, and its fold in plain Python to hold projectors against.

An account is added to, closed, marked (with the event's record) and swept with others; a link joins two names.
"""

import itertools
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from diptych import Event, Projection, Recorded, View
from diptych.log import (
    Append,
    EventCatalogue,
    EventLog,
    Metadata,
    NewEvent,
    RecordedEvent,
    from_microseconds,
    id_text,
)
from diptych.read import Checkpoint, Fold, FoldRules, Generation, Order, Selector, ViewShape, ViewStore
from diptych.stores import Store
from diptych.write import uuid7

V = TypeVar("V", bound=View)


class Added(Event):
    key: str
    amount: Decimal


class Closed(Event):
    key: str


class Marked(Event):
    key: str


class Swept(Event):
    keys: list[str]


class Dull(Event):
    pass


class Account(View, key="key", index="total"):
    key: str
    count: int = 0
    total: Decimal = Decimal()
    marks: list[str] = []  # noqa: RUF012 - a Struct copies it


class Link(View, key=("left", "right")):
    left: str
    right: str
    times: int


accounts = Projection(Account)
links = Projection(Link)
KINDS: list[type[Event]] = [Added, Closed, Marked, Swept, Dull]


@accounts.on
def account_added(row: Account | None, event: Added) -> Account:
    row = row or Account(key=event.key)
    return row.replace(count=row.count + 1, total=row.total + event.amount)


@accounts.on
def account_closed(row: Account | None, event: Closed) -> None:
    return None


@accounts.on
def account_marked(row: Account | None, event: Recorded[Marked]) -> Account | None:
    return row and row.replace(marks=[*row.marks, mark(event)])


def swept(event: Swept) -> list[str]:
    return event.keys


@accounts.on(keys=swept)
def account_swept(row: Account | None, event: Swept) -> Account | None:
    return None if row is None or row.count == 1 else row.replace(count=row.count - 1)


def pairs(event: Swept) -> list[tuple[str, str]]:
    return [(left, right) for left in event.keys for right in event.keys if left < right]


@links.on(keys=pairs)
def link_swept(row: Link | None, event: Swept, key: tuple[str, str]) -> Link | None:
    if row is not None and row.times == 2:
        return None
    return Link(left=key[0], right=key[1], times=row.times + 1 if row else 1)


def mark(event: Recorded[Marked]) -> str:
    facts = (event.position, event.stream, event.version, event.event_id, event.recorded_at, event.metadata.actor)
    return "|".join(map(str, facts))


def fold_of(projection: Projection[V], events: Sequence[type[Event]] = KINDS) -> Fold[V]:
    """A projection's fold; `events` are all that the log may have, beside those that it handles."""
    problems: list[str] = []
    rules = FoldRules(projection, ViewShape(projection.view, projection.version), problems)
    assert problems == []
    return Fold(rules, EventCatalogue([*events, *[event for event in rules.rules if event not in events]]))


ACCOUNTS = fold_of(accounts)
LINKS = fold_of(links)
CATALOGUE = EventCatalogue(KINDS)


def expected_accounts(records: Iterable[RecordedEvent]) -> list[Account]:
    """What a log leaves of the accounts, told in another way than the projection's."""
    counts: dict[str, int] = {}
    totals: dict[str, Decimal] = {}
    marks: dict[str, list[str]] = {}
    for record in records:
        match CATALOGUE.decode(record):
            case Added(key=key, amount=amount):
                counts[key] = counts.get(key, 0) + 1
                totals[key] = totals.get(key, Decimal()) + amount
                marks.setdefault(key, [])
            case Marked(key=key) if key in counts:
                at = from_microseconds(record.recorded_at)
                facts = (record.position, record.stream, record.version, id_text(record.event_id), at, "tester")
                marks[key].append("|".join(map(str, facts)))
            case Closed(key=key) if key in counts:
                counts[key] = 0
            case Swept(keys=keys):
                for key in set(keys) & set(counts):
                    counts[key] -= 1
            case _:
                pass
        for key in [key for key, count in counts.items() if count == 0]:
            del counts[key], totals[key], marks[key]
    return [Account(key=key, count=counts[key], total=totals[key], marks=marks[key]) for key in sorted(counts)]


def expected_links(records: Iterable[RecordedEvent]) -> list[Link]:
    seen: dict[tuple[str, str], int] = {}
    for record in records:
        event = CATALOGUE.decode(record)
        if isinstance(event, Swept):
            for pair in set(itertools.combinations(sorted(set(event.keys)), 2)):
                seen[pair] = seen.get(pair, 0) + 1
    return [Link(left=a, right=b, times=times % 3) for (a, b), times in sorted(seen.items()) if times % 3]


KEYS = st.sampled_from(["a", "b", "c", "d", "é"])
EVENTS = st.one_of(
    st.builds(Added, key=KEYS, amount=st.decimals(-100, 100, places=3)),
    st.builds(Added, key=KEYS, amount=st.just(Decimal(1))),
    st.builds(Closed, key=KEYS),
    st.builds(Marked, key=KEYS),
    st.builds(Swept, keys=st.lists(KEYS, max_size=4)),
    st.builds(Dull),
)

_commands = iter(range(1, 10**9))


async def tell(log: EventLog, *events: Event | NewEvent, stream: str = "ledger-1") -> None:
    """Appends the events to a stream, as one command."""
    command_id = f"command-{next(_commands)}"
    metadata = Metadata(command_id=command_id, correlation_id="c", causation_id="c", actor="tester")
    new = [event if isinstance(event, NewEvent) else encoded(event) for event in events]
    await log.append(Append(command_id, b"", stream, new, None, msgspec.json.encode(metadata)))


def encoded(event: Event) -> NewEvent:
    number = next(_commands)
    kinds = CATALOGUE if type(event) in CATALOGUE else EventCatalogue([type(event)])
    return kinds.encode(event, uuid7(number, number.to_bytes(10, "big")))[0]


async def records(log: EventLog, upto: int = 1_000_000) -> Sequence[RecordedEvent]:
    return (await log.read_records(0, upto)).events if upto else []


async def rows(views: ViewStore, shape: ViewShape[V]) -> list[V]:
    """All rows of what answers, or, where nothing does yet, of what is being filled."""
    order = tuple([Order(name, descending=False) for name in shape.key])
    async with views.snapshot() as snapshot:
        await snapshot.generation(shape)
        return await snapshot.select(shape, Selector(order=order))


async def standing(views: ViewStore, shape: ViewShape[Any]) -> Generation:
    """What answers, or is being filled, and where it stands."""
    async with views.snapshot() as snapshot:
        return await snapshot.generation(shape)


async def checkpoint_of(views: ViewStore, shape: ViewShape[Any], segment: int = 0) -> Checkpoint:
    return (await standing(views, shape)).checkpoints[segment]


@asynccontextmanager
async def opened(store: Store) -> AsyncGenerator[tuple[EventLog, ViewStore]]:
    async with store.log() as log, store.views() as views:
        yield log, views
