"""A context whose projection can be broken and mended: what it cannot apply, and what it cannot read for its keys."""

from collections.abc import Iterator

from diptych import Aggregate, App, BoundedContext, Command, Event, Projection, Query, Token, View, Views


class Read(Command):
    meter: str
    value: int


class ReadAll(Command):
    meter: str
    meters: list[str]


class Measured(Event):
    meter: str
    value: int


class AllMeasured(Event):
    meter: str
    meters: list[str]


meters = Aggregate("meter", id="meter", initial=0)


@meters.decide
def read(count: int, command: Read) -> Iterator[Measured]:
    yield Measured(meter=command.meter, value=command.value)


@meters.decide
def read_all(count: int, command: ReadAll) -> Iterator[AllMeasured]:
    yield AllMeasured(meter=command.meter, meters=command.meters)


@meters.evolve
def measured(count: int, event: Measured) -> int:
    return count + 1


@meters.evolve
def all_measured(count: int, event: AllMeasured) -> int:
    return count + 1


class Level(View, key="meter"):
    meter: str
    values: list[int] = []  # noqa: RUF012 - a Struct copies it


broken: set[str] = set()
"""Meters whose events cannot be applied at present."""

unreadable: set[str] = set()
"""Meters whose events for many cannot be read for their keys at present."""

levels = Projection(Level)


@levels.on
def level_measured(row: Level | None, event: Measured) -> Level:
    return told(row, event.meter, event.value)


def all_meters(event: AllMeasured) -> list[str]:
    if event.meter in unreadable:
        raise KeyError(event.meter)
    return event.meters


@levels.on(keys=all_meters)
def level_all_measured(row: Level | None, event: AllMeasured, key: str) -> Level:
    return told(row, key, 0)


def told(row: Level | None, meter: str, value: int) -> Level:
    if meter in broken:
        raise ValueError(f"meter {meter} is broken")
    return Level(meter=meter, values=[*(row.values if row else []), value])


class LevelOf(Query[list[int]]):
    meter: str


async def level_of(query: LevelOf, views: Views) -> list[int]:
    row = await views[Level].get(query.meter)
    return row.values if row else []


class AllLevels(Query[dict[str, list[int]]]):
    pass


async def all_levels(query: AllLevels, views: Views) -> dict[str, list[int]]:
    return {row.meter: row.values for row in await views[Level].order_by("meter")}


house = BoundedContext("house", aggregates=[meters], projections=[levels], queries=[level_of, all_levels])


async def read_meters(app: App, *readings: tuple[str, int]) -> Token:
    """The token of the last reading."""
    receipts = [await app.execute(Read(meter=meter, value=value)) for meter, value in readings]
    return receipts[-1].token
