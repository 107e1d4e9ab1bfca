"""What a context has, as data and as lines: all by the names that are stored and published."""

from collections.abc import Sequence
from typing import Any

import msgspec

from diptych import BoundedContext
from diptych.read import TableShape, ViewShape


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
    tables: tuple[str, ...] = ()


class Inventory(msgspec.Struct, frozen=True):
    """What a context has."""

    context: str
    aggregates: list[AggregateOf]
    events: list[EventOf]
    views: list[ViewOf]
    queries: list[str]


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
        views=[_view(fold.shape) for fold in context.folds],
        queries=[handler.query.__declared__.name for handler in context.queries],
    )


def described(found: Inventory) -> list[str]:
    """The inventory as lines."""
    rows = [
        ("aggregate", aggregate.name, f"by {', '.join(aggregate.boundary or (aggregate.id,))}")
        for aggregate in found.aggregates
    ]
    rows += [("command", name, f"to {one.name}") for one in found.aggregates for name in one.commands]
    rows += [("event", event.name, f"schema {event.schema}{_tags(event.tags)}") for event in found.events]
    rows += [("view", view.name, _found_by(view)) for view in found.views]
    rows += [("query", name, "") for name in found.queries]
    return [f"Bounded context {found.context!r} builds.", "", *_aligned(rows)]


def _view(shape: ViewShape[Any]) -> ViewOf:
    tables = tuple(shape.tables) if isinstance(shape, TableShape) else ()
    return ViewOf(shape.name, shape.key, shape.index, tables)


def _found_by(view: ViewOf) -> str:
    return f"tables {', '.join(view.tables)}" if view.tables else f"key {', '.join(view.key)}"


def _tags(tags: Sequence[str]) -> str:
    return f", tags {', '.join(tags)}" if tags else ""


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    width = max((len(name) for _, name, _ in rows), default=0)
    return [f"  {kind:9}  {name:{width}}  {more}".rstrip() for kind, name, more in rows]
