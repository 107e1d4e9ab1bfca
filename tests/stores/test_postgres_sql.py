"""A query handler's own SQL on PostgreSQL: one SELECT of any form, and nothing that writes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest

from diptych import Forbidden, Malformed, Scale, TooLarge, View
from diptych.read import Snapshot, ViewShape
from diptych.stores.postgres import PostgresStore
from tests.views import begin


class Sale(View, key="sale_id"):
    sale_id: str
    shopName: str  # noqa: N815 - users write it, too
    amount: Annotated[Decimal, Scale(2)]
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


SALE = ViewShape(Sale)


@pytest.fixture
async def snapshot(postgres_url: str) -> AsyncIterator[Snapshot]:
    async with PostgresStore(postgres_url).views() as views:
        await begin(views, SALE, [Sale(sale_id=f"{n}", shopName="ab"[n % 2], amount=Decimal(n) / 4) for n in range(10)])
        async with views.snapshot() as snapshot:
            await snapshot.generation(SALE)
            yield snapshot


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) AS n FROM Sale",
        "select count(*) as n from sale",
        "  \n SELECT count(*) AS n FROM Sale;",
        "WITH w AS (SELECT * FROM Sale) SELECT count(*) AS n FROM w",
        "-- how many\nSELECT count(*) AS n FROM Sale -- of them",
        "/* how :many */ SELECT count(*) AS n FROM Sale",
        "VALUES (10)",
        "SELECT count(*)::text::int AS n FROM Sale WHERE shopName <> ':x' AND $$:y$$ = ':' || 'y'",
    ],
)
async def test_one_select_of_any_form_runs(snapshot: Snapshot, statement: str) -> None:
    for _ in range(2):
        (row,) = await snapshot.sql(statement, {})
        assert list(row.values()) == [10]


async def test_values_are_bound_by_name_and_come_back_in_their_types(snapshot: Snapshot) -> None:
    rows = await snapshot.sql(
        "SELECT shopname, sum(amount) AS total, min(at) AS first FROM Sale "
        "WHERE amount >= :least AND shopName = :shop AND :shop::text <> '' GROUP BY 1",
        {"least": Decimal("0.5"), "shop": "a"},
    )
    assert rows == [{"shopname": "a", "total": Decimal("5.00"), "first": datetime(2026, 1, 1, tzinfo=UTC)}]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM Sale",
        "INSERT INTO Sale VALUES (1)",
        "UPDATE Sale SET amount = 0",
        "DROP VIEW Sale",
        "COMMIT",
        "ROLLBACK",
        "SELECT 1; DELETE FROM Sale",
        "SELECT 1) AS a; DELETE FROM Sale; SELECT * FROM (SELECT 1",
        "WITH gone AS (DELETE FROM Sale RETURNING 1) SELECT * FROM gone",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT * FROM Sale FOR UPDATE",
        "SELECT * FROM nothing",
        "SELECT 1 AS n, 2 AS n",
        "SELECT :missing",
        "",
    ],
)
async def test_anything_else_is_refused_and_the_snapshot_goes_on(snapshot: Snapshot, statement: str) -> None:
    with pytest.raises((Malformed, Forbidden)):
        await snapshot.sql(statement, {})
    assert await snapshot.sql("SELECT count(*) AS n FROM Sale", {}) == [{"n": 10}]


@pytest.mark.parametrize("binds", [{"unused": 1}, {"shop": object()}, {"shop": 1}])
async def test_values_that_do_not_fit_are_malformed(snapshot: Snapshot, binds: dict[str, Any]) -> None:
    statement = "SELECT 1 AS n FROM Sale WHERE shopName = :shop" if "shop" in binds else "SELECT 1 AS n"
    with pytest.raises(Malformed):
        await snapshot.sql(statement, binds)


async def test_more_rows_than_an_answer_may_have_are_too_large(snapshot: Snapshot) -> None:
    with pytest.raises(TooLarge, match="add a LIMIT"):
        await snapshot.sql("SELECT * FROM generate_series(1, 10001)", {})
    assert len(await snapshot.sql("SELECT * FROM generate_series(1, 10001) LIMIT 10000", {})) == 10_000
