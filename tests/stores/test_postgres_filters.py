"""Filters on PostgreSQL with values that a column cannot hold find what they find in memory."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from diptych import View
from diptych.read import Filter, Views, ViewShape, ViewStore, ge, gt, le, lt, one_of, prefix
from diptych.stores.memory import MemoryStore
from diptych.stores.postgres import PostgresStore
from tests.views import LOG, begin


class Thing(View, key="id", index=("amount",)):
    id: int
    amount: Decimal | None = None
    text: str = ""
    note: str | None = None


THING = ViewShape(Thing)
ROWS = [
    Thing(id=1, amount=Decimal(1), text="a\0b"),
    Thing(id=2, amount=Decimal("-0.000001"), text="a\1b", note="\0"),
    Thing(id=3, text="a\2b", note="x"),
    Thing(id=-(2**63), amount=Decimal(9_223_372_036_854), text="\U0010ffff", note="\U0010ffff"),
]


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[ViewStore]]:
    async with PostgresStore(postgres_url).views() as postgres, MemoryStore(lambda: 0).views() as memory:
        for store in (postgres, memory):
            await begin(store, THING, ROWS)
        yield [postgres, memory]


async def found(store: ViewStore, order: str, conditions: dict[str, object]) -> list[int]:
    async with store.snapshot() as snapshot:
        rows = Views(snapshot, {Thing: THING}, 0)[Thing].where(**conditions).order_by(order)
        return [row.id for row in await rows]


HUGE, TINY = Decimal("1e25"), Decimal("1e-9")


@pytest.mark.parametrize("compared", [gt, ge, lt, le, one_of])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("amount", value) for value in (HUGE, -HUGE, TINY, -TINY, Decimal("1.0000005"), Decimal(1))],
        *[("id", value) for value in (2**63, 2**70, -(2**63) - 1, -(2**70), 2)],
        *[("text", value) for value in ("a\0b", "a\1b", "a\0", "a\1", "a\1\1b", "\U0010ffff", "")],
        ("note", "\0"),
    ],
    ids=ascii,
)
async def test_a_value_that_no_row_can_have_is_compared_all_the_same(
    stores: list[ViewStore], compared: Any, field: str, value: object
) -> None:
    filter: Filter = compared(value)
    conditions: list[dict[str, object]] = [{field: filter}, {field: value}]
    for each in conditions:
        for order in (field, f"-{field}"):
            here, in_memory = [await found(store, order, each) for store in stores]
            assert here == in_memory


@pytest.mark.parametrize("text", ["", "a", "a\0", "a\1", "a\2", "\U0010ffff", "\ud7ff", "b"], ids=ascii)
async def test_a_prefix_is_found_whatever_its_characters(stores: list[ViewStore], text: str) -> None:
    for field in ("text", "note"):
        here, in_memory = [await found(store, "id", {field: prefix(text)}) for store in stores]
        assert here == in_memory


async def test_rows_of_a_key_alone_come_back(stores: list[ViewStore]) -> None:
    class Seen(View, key="id"):
        id: str

    seen = ViewShape(Seen)
    for store in stores:
        checkpoint = await begin(store, seen, [Seen(id="a\0")])
        again = checkpoint._replace(anchor=checkpoint.anchor)
        assert await store.load(seen, ["a\0", "b"], checkpoint) == {"a\0": Seen(id="a\0")}
        assert (await store.commit(seen, {"a\0": Seen(id="a\0")}, again, again.anchor)).position == 1
        assert await store.load(THING, [1], (await store.prepare(THING, LOG)).checkpoints[0]) == {1: ROWS[0]}
