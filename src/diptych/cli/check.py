"""`diptych check`: whether a context builds, what it has, and whether it can read what a store holds."""

import asyncio
import sys
from collections.abc import Sequence

import msgspec

from diptych import BoundedContext, ContextError, UnreadableEvent
from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, say
from diptych.log import EventCatalogue
from diptych.stores import Store, without_password


class AggregateOf(msgspec.Struct, frozen=True):
    name: str
    id: str
    boundary: tuple[str, ...]
    commands: list[str]
    evolves: list[str]


class EventOf(msgspec.Struct, frozen=True):
    name: str
    schema: int
    tags: tuple[str, ...]


class ViewOf(msgspec.Struct, frozen=True):
    name: str
    key: tuple[str, ...]
    index: tuple[str, ...]


class Inventory(msgspec.Struct, frozen=True):
    """What a context has, all by the names that are stored and published."""

    context: str
    aggregates: list[AggregateOf]
    events: list[EventOf]
    views: list[ViewOf]
    queries: list[str]


class Unreadable(msgspec.Struct):
    """Stored events of one type and schema that the context cannot read: how many, and the first of them."""

    type: str
    schema: int
    events: int
    position: int
    stream: str
    reason: str


class Stored(msgspec.Struct, frozen=True):
    """What was found in a store."""

    store: str
    events: int
    unreadable: list[Unreadable]


def check(target: Target = None, *, store: StoreUrl = None, json: Json = False) -> int:
    """Say whether a context builds, and what it has; with a store, whether it can read every event there.

    Before a new version is deployed on an old store:

        diptych check shop:shop --store sqlite:///shop.db
    """
    try:
        context = context_at(target)
    except ContextError as error:
        return show_problems(error, json=json)
    found = inventory(context)
    stored = asyncio.run(stored_in(existing_store(store), store, context.catalogue)) if store else None
    if json:
        sys.stdout.write(msgspec.json.encode({"inventory": found, "stored": stored, "problems": ()}).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*described(found), *([] if stored is None else told(stored)), ""]))
    return NO if stored is not None and stored.unreadable else DONE


def show_problems(error: ContextError, *, json: bool) -> int:
    if json:
        answer = {"inventory": None, "stored": None, "problems": error.problems}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        return NO
    return say(f"bounded context {error.context!r} does not build:", NO, error.problems)


def inventory(context: BoundedContext) -> Inventory:
    """What the context has."""
    return Inventory(
        context=context.name,
        aggregates=[
            AggregateOf(
                rules.name,
                rules.aggregate.id,
                rules.aggregate.boundary,
                [command.__declared__.name for command in rules.deciders],
                [event.__declared__.name for event in rules.evolvers],
            )
            for rules in context.aggregates
        ],
        events=[
            EventOf(declared.name, declared.schema, declared.tags)
            for declared in (event.__declared__ for event in context.events)
        ],
        views=[ViewOf(fold.shape.name, fold.shape.key, fold.shape.index) for fold in context.folds],
        queries=[handler.query.__declared__.name for handler in context.queries],
    )


async def stored_in(store: Store, url: str, catalogue: EventCatalogue) -> Stored:
    """Reads the whole log, page by page, as a projector would."""
    unreadable: dict[tuple[str, int], Unreadable] = {}
    position = 0
    async with store.log() as log:
        end = (await log.head()).position
        while position < end:
            page = await log.read(position, min(500, end - position))
            for event in page.events:
                try:
                    catalogue.decode(event)
                except UnreadableEvent as error:
                    key = (event.type, event.schema)
                    found = unreadable.setdefault(key, Unreadable(*key, 0, event.position, event.stream, error.reason))
                    found.events += 1
            position = page.upto.position
            await asyncio.sleep(0)  # Ctrl-C comes in between
    return Stored(without_password(url), end, list(unreadable.values()))


def described(found: Inventory) -> list[str]:
    """The inventory as lines."""
    rows = [
        ("aggregate", aggregate.name, f"by {', '.join(aggregate.boundary or (aggregate.id,))}")
        for aggregate in found.aggregates
    ]
    rows += [("command", name, f"to {one.name}") for one in found.aggregates for name in one.commands]
    rows += [("event", event.name, f"schema {event.schema}{tags_of(event.tags)}") for event in found.events]
    rows += [("view", view.name, f"key {', '.join(view.key)}") for view in found.views]
    rows += [("query", name, "") for name in found.queries]
    return [f"Bounded context {found.context!r} builds.", "", *aligned(rows)]


def counted(events: int) -> str:
    return f"{events:,} event{'' if events == 1 else 's'}"


def tags_of(tags: Sequence[str]) -> str:
    return f", tags {', '.join(tags)}" if tags else ""


def aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    width = max((len(name) for _, name, _ in rows), default=0)
    return [f"  {kind:9}  {name:{width}}  {more}".rstrip() for kind, name, more in rows]


def told(stored: Stored) -> list[str]:
    """What was found in the store, as lines."""
    if not stored.unreadable:
        return ["", f"It can read every event of {stored.store}: {counted(stored.events)}."]
    lines = ["", f"It cannot read every event of {stored.store}:"]
    for one in stored.unreadable:
        lines.append(f"  {one.type}, schema {one.schema}: {counted(one.events)}, the first at position {one.position}")
        lines.append(f"    {one.reason}")
    return lines
