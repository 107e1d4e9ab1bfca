"""The contexts of these tests: the shop of tests.app, and one whose types, rules and failures are odd on purpose."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from diptych import Aggregate, BoundedContext, Command, Event, Meta, Projection, Query, Rejected, View, Views, ge


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    weight: Decimal
    parts: list["Part"] = []


class Note(Command, name="note ü"):
    """Note a thing down.

    A second paragraph.
    """

    thing_id: UUID
    part: Part
    at: datetime
    colour: Colour | None = None


class Explode(Command):
    thing_id: UUID
    secret: str


class Dawdle(Command):
    thing_id: UUID


class Noted(Event):
    thing_id: UUID
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Thing:
    pass


things = Aggregate("thing", id="thing_id", initial=Thing())


@things.decide
def note(thing: Thing, command: Note) -> Iterator[Noted]:
    if command.part.name == "forbidden":
        raise Rejected("no-such-part", "<script>alert(1)</script>")
    yield Noted(thing_id=command.thing_id, name=command.part.name, at=command.at)


@things.decide
def explode(thing: Thing, command: Explode) -> Iterator[Noted]:
    raise RuntimeError(f"the secret is {command.secret}")


@things.decide
def dawdle(thing: Thing, command: Dawdle) -> Iterator[Noted]:
    return iter(())


@things.evolve
def noted(thing: Thing, event: Noted) -> Thing:
    return thing


class Fill(Command):
    """Fill a box: the id is text, the amount has bounds."""

    box_id: str
    amount: Annotated[int, Meta(ge=1, le=1000)]
    labels: list[Annotated[str, Meta(max_length=20)]] = msgspec.field(default_factory=list)


class Filled(Event):
    box_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Box:
    amount: int = 0


boxes = Aggregate("box", id="box_id", initial=Box())


@boxes.decide
def fill(box: Box, command: Fill) -> Iterator[Filled]:
    if box.amount + command.amount > 1000:
        raise Rejected("box-full", "A box holds 1000.")
    yield Filled(box_id=command.box_id, amount=command.amount)


@boxes.evolve
def filled(box: Box, event: Filled) -> Box:
    return Box(box.amount + event.amount)


class BoxView(View, key="box_id"):
    box_id: str
    amount: int


contents = Projection(BoxView)


@contents.on
def box_filled(row: BoxView | None, event: Filled) -> BoxView:
    return BoxView(box_id=event.box_id, amount=event.amount + (0 if row is None else row.amount))


class BoxOf(Query[BoxView | None]):
    box_id: str


async def box_of(query: BoxOf, views: Views) -> BoxView | None:
    return await views[BoxView].get(query.box_id)


class Boxes(Query[list[BoxView]]):
    """Boxes by what is in them."""

    least: int = 0
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


async def boxes_by_amount(query: Boxes, views: Views) -> list[BoxView]:
    return await views[BoxView].where(amount=ge(query.least)).order_by("-amount").limit(query.limit)


class ThingView(View, key="thing_id"):
    thing_id: UUID
    name: str
    at: datetime


projection = Projection(ThingView)


@projection.on
def thing_noted(row: ThingView | None, event: Noted) -> ThingView:
    if event.name == "poison":
        raise ValueError("poison")
    return ThingView(thing_id=event.thing_id, name=event.name, at=event.at)


class Said(msgspec.Struct, frozen=True):
    """What a query was asked, said again."""

    words: list[str]
    numbers: list[int]
    flag: bool | None
    ratio: float
    on: date | None
    at: datetime | None
    id: UUID | None
    price: Decimal
    colour: Colour
    size: Literal["s", "m", 3]
    from_: str | None


class Say(Query[Said]):
    """Every kind of field that an address can hold."""

    price: Decimal
    words: list[str] = msgspec.field(default_factory=list)
    numbers: Annotated[list[Annotated[int, Meta(ge=0, le=9)]], Meta(max_length=3)] = msgspec.field(default_factory=list)
    flag: bool | None = None
    ratio: Annotated[float, Meta(ge=-1000, le=1000)] = 0.5
    on: date | None = None
    at: datetime | None = None
    id: UUID | None = None
    colour: Colour = Colour.RED
    size: Literal["s", "m", 3] = "s"
    from_: str | None = msgspec.field(name="from", default=None)


async def say(query: Say, views: Views) -> Said:
    return Said(
        words=query.words,
        numbers=query.numbers,
        flag=query.flag,
        ratio=query.ratio,
        on=query.on,
        at=query.at,
        id=query.id,
        price=query.price,
        colour=query.colour,
        size=query.size,
        from_=query.from_,
    )


class Weigh(Query[Decimal]):
    """A record in a query has no place in an address."""

    part: Part


async def weigh(query: Weigh, views: Views) -> Decimal:
    return query.part.weight


class Heavy(Query[bool]):
    """A record that need not be there leaves the rest a place."""

    than: Part | None = None


async def heavy(query: Heavy, views: Views) -> bool:
    return query.than is not None and query.than.weight > 1


class Things(Query[dict[str, ThingView]]):
    pass


async def all_things(query: Things, views: Views) -> dict[str, ThingView]:
    return {str(row.thing_id): row for row in await views[ThingView].limit(100)}


class Fail(Query[int]):
    how: Literal["raise", "slow", "unwritable"]


async def fail(query: Fail, views: Views) -> int:
    if query.how == "slow":
        await asyncio.sleep(30)
    if query.how == "unwritable":
        return object()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
    raise RuntimeError("the secret is 42")


odd = BoundedContext(
    "odd ones",
    aggregates=[things, boxes],
    projections=[projection, contents],
    queries=[say, weigh, heavy, all_things, box_of, boxes_by_amount, fail],
)
