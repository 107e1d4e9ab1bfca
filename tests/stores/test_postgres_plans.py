"""Every hot statement on PostgreSQL finds its rows by an index; those of the log whatever the statistics say."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from diptych import View
from diptych.read import Order, Selector, ViewShape, ge
from diptych.stores.postgres.address import Address, address_of
from diptych.stores.postgres.connection import BY_INDEX, connect
from diptych.stores.postgres.projected import view_statements
from diptych.stores.postgres.rows import RowTable
from diptych.stores.postgres.select import PostgresSelect
from tests.conftest import new_store
from tests.postgres import Server

EVENTS = 50_000
MILLION = 1_000_000

FILL = """
INSERT INTO diptych.event (position, version, recorded_at, schema, stream, type, event_id, tags, data, metadata)
SELECT n, 1 + n / 20000, n, 1, 'order-' || n % 20000, CASE WHEN n % 1000 = 0 THEN 'Rare' ELSE 'Often' || n % 3 END,
    decode(lpad(to_hex(n), 32, '0'), 'hex'), '[]', '{}', '{}'
FROM generate_series(1, $events) AS n;
INSERT INTO diptych.event_tag (tag, position, type)
SELECT tag, n, 'Often'
FROM generate_series(1, $events) AS n, LATERAL (VALUES ('id:' || n % 5000), ('all:1')) AS tags (tag);
INSERT INTO diptych.ledger (position, version, recorded_at, events, command_id, stream, fingerprint)
SELECT n, 1, n, 1, 'command-' || n, 'order-' || n, '' FROM generate_series(1, $events) AS n;
"""

HOT: dict[str, tuple[list[Any], str]] = {
    "head": ([], "event_pkey"),
    "outcomes": ([["command-7", "command-8"]], "ledger_pkey"),
    "load": (["order-7", 0], "event_stream"),
    "load_many": ([["order-7", "order-8", "order-none"], [0, 1, 0]], "event_stream"),
    "select_by_tags": ([["id:7"], []], "event_tag_pkey"),
    "select_by_types": ([["Rare"]], "event_type"),
    "read": ([EVENTS // 2, 500], "event_pkey"),
    "read_types": ([EVENTS // 2, 500, ["Rare", "Often1"], 100_000], "event_pkey"),
    "read_records": ([EVENTS // 2, 500], "event_pkey"),
    "read_records_types": ([EVENTS // 2, 500, ["Rare", "Often1"], 100_000], "event_pkey"),
    "kinds": ([], "event_kind_pkey"),
    "event_at": ([7], "event_pkey"),
    "last_upto": ([7], "event_pkey"),
}
IN_ORDER = ["head", "load", "read", "read_types", "read_records", "read_records_types", "last_upto"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((EVENTS, True), id="with statistics"),
        pytest.param((EVENTS, False), id="without"),
        pytest.param((MILLION, True), id="a million with statistics", marks=pytest.mark.soak),
        pytest.param((MILLION, False), id="a million without", marks=pytest.mark.soak),
    ],
)
def filled(postgres: Server, request: pytest.FixtureRequest) -> Address:
    """A log of many events, which the planner knows or does not know yet."""
    address = address_of(new_store(postgres))
    events, statistics = request.param

    async def fill() -> None:
        connection = await asyncpg.connect(address.dsn)
        await connection.execute(address.placed(FILL).replace("$events", str(events)))
        await connection.execute(address.placed("ALTER TABLE diptych.event SET (autovacuum_enabled = off)"))
        if statistics:
            await connection.execute(address.placed("VACUUM ANALYZE diptych.event, diptych.event_tag, diptych.ledger"))
        await connection.close()

    asyncio.run(fill())
    return address


async def plans(address: Address, settings: Mapping[str, str], sql: str, binds: list[Any]) -> list[str]:
    """The plan for these values, and the one that is kept for all values."""
    connection = await connect(address, "test", settings)
    try:
        found: list[str] = []
        for mode in ("force_custom_plan", "force_generic_plan"):
            await connection.execute(f"SET plan_cache_mode = {mode}")
            rows = await connection.fetch(f"EXPLAIN {sql}", *binds)
            found.append("\n".join(row[0] for row in rows))
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize("name", HOT)
async def test_a_statement_of_the_log_uses_its_index(filled: Address, name: str) -> None:
    binds, index = HOT[name]
    for plan in await plans(filled, BY_INDEX, filled.statements("log.sql")[name], binds):
        assert re.search(rf"\b{index}\b", plan), plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    ("name", "binds"), [("restore", ["order-7", "shape"]), ("restore_many", [["order-7", "order-8"], ["shape"] * 2])]
)
async def test_a_stream_is_restored_by_indexes_alone(filled: Address, name: str, binds: list[Any]) -> None:
    sql = filled.statements("snapshots.sql")[name]
    for plan in await plans(filled, BY_INDEX, sql, binds):
        for index in ("snapshot_pkey", "event_pkey", "event_stream"):
            assert re.search(rf"\b{index}\b", plan), plan
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan


SPANNED: dict[str, tuple[list[Any], str]] = {
    "find_by_scan": ([], "event_pkey"),
    "find_by_tags": (["all:1", ["all:1", "id:7"]], "event_tag_pkey"),
    "find_by_stream": (["order-7", []], "event_stream"),
}


@pytest.mark.parametrize("name", SPANNED)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_a_span_is_read_by_its_index_in_both_directions(filled: Address, name: str, direction: str) -> None:
    more, index = SPANNED[name]
    statement = filled.statements("find.sql")[name]
    assert statement.count(" ASC ") == 1
    sql = statement.replace(" ASC ", f" {direction} ")
    for plan in await plans(filled, BY_INDEX, sql, [5, 90_000, [], None, 10, *more]):
        assert re.search(rf"\b{index}\b", plan), plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("name", IN_ORDER)
async def test_what_is_read_in_order_is_not_sorted(filled: Address, name: str) -> None:
    binds, _ = HOT[name]
    for plan in await plans(filled, BY_INDEX, filled.statements("log.sql")[name], binds):
        assert "Sort" not in plan, plan


APPENDS = {
    "a group": "SELECT * FROM diptych.append_group('1000', 0, '{}', true, ARRAY[1], ARRAY['new-1'], ARRAY['x'::bytea], "
    "ARRAY[1], ARRAY['order-7'], ARRAY[NULL::bigint], ARRAY[1], ARRAY['{}'::bytea], "
    """'[{"append": 1, "after": 5, "types": [], "tags": ["id:-1"]},"""
    """ {"append": 1, "after": 5, "types": ["Never"], "tags": []}]', '{}', '{}', '{}', '{}', """
    "ARRAY[1], ARRAY[1], ARRAY['T'], ARRAY[1], ARRAY['e'::bytea], ARRAY['[\"id:7\"]'], ARRAY['{}'::bytea])",
    "one": "SELECT * FROM diptych.append_one('1000', 0, '{}', 'new-2', 'x', 'order-8', NULL, '{}', 'T', 1, 'e', "
    "'[\"id:7\"]', '{}')",
    "a batch": "SELECT * FROM diptych.append_batch('1000', 0, '{}', true, 'new-3', 'x', ARRAY['order-7', 'new-1'], "
    "ARRAY[NULL, 0]::bigint[], ARRAY[1, 2], ARRAY[1, 1], ARRAY['T', 'U'], ARRAY[1, 1], ARRAY['e', 'f']::bytea[], "
    "ARRAY['[\"id:7\"]', '[]'], ARRAY['{}', '{}']::bytea[], ARRAY['{}', '{}']::bytea[])",
}


@pytest.mark.parametrize("name", APPENDS)
async def test_an_append_looks_at_few_rows_however_long_the_log_is(filled: Address, name: str) -> None:
    connection = await asyncpg.connect(filled.dsn)
    try:
        sql = filled.placed(
            "SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE schemaname = '{}'"
        ).format(filled.schema)
        transaction = connection.transaction()
        await transaction.start()
        assert await connection.fetchval(filled.placed(APPENDS[name])) in (0, [0])
        looked_at = {row[0]: row[1] for row in await connection.fetch(sql)}
        await transaction.rollback()
    finally:
        await connection.close()
    assert {table: rows for table, rows in looked_at.items() if rows > 30} == {}


class Sale(View, key="sale_id", index=("amount", "shop")):
    sale_id: str
    amount: int
    shop: str | None = None


async def test_rows_are_found_by_key_by_a_declared_index_and_page_by_page(postgres_url: str) -> None:
    address = address_of(postgres_url)
    table = RowTable(ViewShape(Sale), 1, address.views_schema)
    connection = await asyncpg.connect(address.dsn)
    for statement in (table.create(), *table.complete()):
        await connection.execute(statement)
    rows = "SELECT n::text, n % 1000, 'shop' || n % 500 FROM generate_series(1, 20000) AS n"
    await connection.execute(f"INSERT INTO {table.table} {rows}; ANALYZE {table.table}")
    await connection.close()
    late = Selector(order=(Order("amount", descending=True), Order("sale_id", descending=False)), after=(500, "7"))
    for (sql, binds), index in [
        (table.lookup(["1", "2", "3"]), "Sale_1_pkey"),
        (PostgresSelect(table).rows(Selector(filters=(("amount", ge(990)),)), 10), "Sale_1_0"),
        (PostgresSelect(table).rows(Selector(order=(Order("amount", descending=False),)), 10), "Sale_1_0"),
        (PostgresSelect(table).rows(Selector(order=(Order("shop", descending=True),)), 10), "Sale_1_1"),
        (PostgresSelect(table).rows(Selector(order=(Order("shop", descending=False),)), 10), "Sale_1_1"),
        (PostgresSelect(table).rows(late, 10), "Sale_1_0"),
    ]:
        assert index in (await plans(address, {}, sql, binds))[0], sql


FILL_VIEWS = """
INSERT INTO diptych.view (name, generations) SELECT 'view-' || n, 9 FROM generate_series(1, 300) AS n;
INSERT INTO diptych.generation (generation, name, fingerprint, log_id, state)
SELECT g, 'view-' || n, 'f' || g, '', 'live' FROM generate_series(1, 300) AS n, generate_series(1, 9) AS g;
INSERT INTO diptych.segment (generation, epoch, position, segment, live, paused, name, event_id)
SELECT generation, 1, 7, s, true, false, name, '' FROM diptych.generation, generate_series(0, 3) AS s;
INSERT INTO diptych.letter (generation, position, segment, name, key, stream, type, parked_at)
SELECT 1 + n % 9, n, n % 4, 'view-' || 1 + n % 3, CASE WHEN n % 1000 = 0 THEN '' ELSE 'key-' || n % 5000 END,
    CASE WHEN n % 1000 = 0 THEN 'order-' || n ELSE '' END, 'T', '' FROM generate_series(1, 30000) AS n;
ANALYZE diptych.view, diptych.generation, diptych.segment, diptych.letter
"""

HOT_OF_VIEWS: dict[str, tuple[list[Any], list[str]]] = {
    "live": (["view-7", "f3"], ["generation_state", "segment_pkey"]),
    "exists": (["view-7", 3], ["generation_pkey"]),
    "advance": ([8, b"", "view-7", 3, 0, 7, 1, "bell"], ["segment_pkey"]),
    "ring": (["view-7", 3, 1, "bell"], ["segment_pkey"]),
    "take": (["view-7", 3, 0, 1, "ann"], ["segment_pkey"]),
    "held": (["view-3", 3, 900], ["letter_position"]),
    "held_of": (["view-3", 3, 900, ["key-7", "key-8"]], ["letter_key", "letter_stream"]),
    "letters": (["view-3", 3, 900, 100], ["letter_position"]),
    "letters_of": (["view-3", 3, 900, 100, "key-7", ""], ["letter_key"]),
    "park": (["view-3", 3, 0, ["key-7"], [""], [9], ["T"], [""], [None]], ["letter_key", "segment_pkey"]),
    "forget": (["view-3", 3, 0, "key-7", "", 900], ["letter_key"]),
}


async def test_what_each_page_and_each_query_asks_of_a_view_is_found_by_an_index(postgres_url: str) -> None:
    address = address_of(postgres_url)
    connection = await asyncpg.connect(address.dsn)
    await connection.execute(address.placed(FILL_VIEWS))
    await connection.close()
    statements = view_statements(address)
    for name, (binds, indexes) in HOT_OF_VIEWS.items():
        (plan, _) = await plans(address, {}, statements[name], binds)
        for index in indexes:
            assert re.search(rf"\b{index}\b", plan), f"{name}: {plan}"
        assert "Seq Scan on segment" not in plan, plan
        assert "Seq Scan on letter" not in plan, plan
