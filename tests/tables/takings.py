"""A context with a projection into tables of its own, which can be broken and mended. Its SQL runs on all stores."""

from collections.abc import Iterator
from typing import Any

from diptych import (
    Aggregate,
    BoundedContext,
    Command,
    Event,
    Query,
    Recorded,
    TableProjection,
    Tables,
    Views,
)


class Sell(Command):
    till: str
    cents: int


class Close(Command):
    till: str


class Sold(Event):
    till: str
    cents: int


class Closed(Event):
    till: str


tills = Aggregate("till", id="till", initial=0)


@tills.decide
def sell(count: int, command: Sell) -> Iterator[Sold]:
    yield Sold(till=command.till, cents=command.cents)


@tills.decide
def close(count: int, command: Close) -> Iterator[Closed]:
    yield Closed(till=command.till)


@tills.evolve
def was_sold(count: int, event: Sold) -> int:
    return count + 1


@tills.evolve
def was_closed(count: int, event: Closed) -> int:
    return 0


broken: set[str] = set()
"""Tills whose events cannot be applied at present."""

TABLES = {
    "takings": "CREATE TABLE {takings} (till TEXT PRIMARY KEY, cents BIGINT NOT NULL)",
    "sales": "CREATE TABLE {sales} (position BIGINT PRIMARY KEY, till TEXT NOT NULL, running BIGINT NOT NULL)",
}
INDEXES = {"sales_by_till": "CREATE INDEX {sales_by_till} ON {sales} (till)"}


def takings_of(*, version: int = 1) -> TableProjection:
    """What each till has taken since it was opened, and how it came to that: no event is to be seen twice, or late."""
    takings = TableProjection("Takings", tables=TABLES, indexes=INDEXES, version=version)

    @takings.on
    async def taken(tables: Tables, event: Recorded[Sold]) -> None:
        till = event.event.till
        if till in broken:
            raise RuntimeError(f"till {till} is broken")
        (row,) = await tables.fetch(
            "INSERT INTO {takings} (till, cents) VALUES (:till, :cents) "
            "ON CONFLICT (till) DO UPDATE SET cents = {takings}.cents + excluded.cents RETURNING cents",
            till=till,
            cents=event.event.cents,
        )
        await tables.execute(
            "INSERT INTO {sales} VALUES (:position, :till, :running)",
            position=event.position,
            till=till,
            running=row["cents"],
        )

    @takings.on
    async def over(tables: Tables, event: Closed) -> None:
        await tables.execute("DELETE FROM {takings} WHERE till = :till", till=event.till)

    return takings


class Taken(Query[dict[str, int]]):
    pass


class Sales(Query[list[tuple[int, str, int]]]):
    pass


async def taken(query: Taken, views: Views) -> dict[str, int]:
    return {row["till"]: row["cents"] for row in await views.sql("SELECT till, cents FROM takings ORDER BY till")}


async def sales(query: Sales, views: Views) -> list[tuple[int, str, int]]:
    rows = await views.sql("SELECT position, till, running FROM sales ORDER BY position")
    return [(row["position"], row["till"], row["running"]) for row in rows]


def context_of(*projections: Any) -> BoundedContext:
    return BoundedContext("takings", aggregates=[tills], projections=projections, queries=[taken, sales])


takings = context_of(takings_of())
