"""Every hot statement finds its rows by an index, and no statement of the log sorts or scans what it need not."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from diptych import View
from diptych.read import Order, Selector, ViewShape, ge
from diptych.stores.sql import load_script, load_statements
from diptych.stores.sqlite.rows import RowTable
from diptych.stores.sqlite.select import SqliteSelect

SQL = load_statements("diptych.stores.sqlite", "log.sql")

HOT = {
    "head": ((), "SCAN event"),
    "version": (("s",), "SEARCH event USING COVERING INDEX event_stream (stream=?)"),
    "outcome": (("c",), "SEARCH ledger USING PRIMARY KEY (command_id=?)"),
    "versions": (("[]",), "SEARCH event USING COVERING INDEX event_stream (stream=?)"),
    "outcomes": (("[]",), "SEARCH ledger USING PRIMARY KEY (command_id=?)"),
    "types_between": ((1, 2), "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    "newest_by_tags": (("[]", 0, "[]", "[]", 1), "SEARCH event_tag USING PRIMARY KEY (tag=? AND position>?)"),
    "newest_by_types": (("[]", 0), "SEARCH event USING COVERING INDEX event_type (type=? AND position>?)"),
    "select_by_tags": (("[]", "[]", "[]", 1), "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
    "select_by_types": (("[]",), "SEARCH event USING INDEX event_type (type=?)"),
    "load": (("s", 0), "SEARCH event USING INDEX event_stream (stream=? AND version>?)"),
    "read": ((0, 1), "SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"),
    "read_types": ((0, 9, "[]", 1), "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    "read_records": ((0, 1), "SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"),
    "read_records_types": ((0, 9, "[]", 1), "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    "kinds": ((), "SCAN event_kind"),
    "event_at": ((1,), "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"),
}


FIND = load_statements("diptych.stores.sqlite", "find.sql")
SPANNED = {
    "find_by_scan": "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "find_by_stream": "SEARCH event USING INDEX event_stream (stream=? AND version>? AND version<?)",
    "find_by_tags": "SEARCH tagged USING PRIMARY KEY (tag=? AND position>? AND position<?)",
}


@pytest.fixture
def log() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for statement in load_script("diptych.stores.sqlite", "schema.sql"):
        connection.execute(statement)
    yield connection
    connection.close()


def plan(connection: sqlite3.Connection, sql: str, binds: Sequence[Any] | Mapping[str, Any]) -> str:
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", binds))


@pytest.mark.parametrize("name", HOT)
def test_a_statement_of_the_log_uses_its_index(log: sqlite3.Connection, name: str) -> None:
    binds, wanted = HOT[name]
    found = plan(log, SQL[name], binds)
    assert wanted in found
    assert "SCAN event_tag" not in found
    assert "SCAN ledger" not in found


@pytest.mark.parametrize("name", ["load", "read", "read_types", "read_records", "read_records_types", "head"])
def test_what_is_read_in_order_is_stored_in_order(log: sqlite3.Connection, name: str) -> None:
    assert "TEMP B-TREE" not in plan(log, SQL[name], HOT[name][0])


@pytest.mark.parametrize("name", SPANNED)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_a_span_is_read_by_its_index_in_both_directions(log: sqlite3.Connection, name: str, direction: str) -> None:
    assert FIND[name].count(" ASC ") == 1
    found = plan(log, FIND[name].replace(" ASC ", f" {direction} "), NO_SPAN)
    assert SPANNED[name] in found
    assert "SCAN event" not in found
    assert "SCAN tagged" not in found
    assert "TEMP B-TREE" not in found


NO_SPAN = {
    "low": 0, "high": 9, "stream": "s", "category": None, "types": "[]", "tags": "[]", "tag": "t",
    "tag_count": 0, "limit": 1
}  # fmt: skip


VIEWS = load_statements("diptych.stores.sqlite", "views.sql")
BY_KEY = "INDEX diptych_letter_key (name=? AND generation=? AND key=?"
HOT_VIEWS: dict[str, tuple[Any, ...]] = {
    "answering": (
        ("v", "f"),
        "SEARCH diptych_generation USING PRIMARY KEY (name=?)",
        "SEARCH diptych_segment USING PRIMARY KEY (name=? AND generation=?)",
        "SEARCH diptych_pause USING PRIMARY KEY (name=?)",
    ),
    "advance": (
        (1, b"", "v", 1, 0, 1, 0),
        "SEARCH diptych_segment USING PRIMARY KEY (name=? AND generation=? AND segment=?)",
        "SEARCH diptych_pause USING PRIMARY KEY (name=?)",
        "SEARCH diptych_generation USING PRIMARY KEY (name=? AND generation=?)",
    ),
    "lowest": (("v", 1), "SEARCH diptych_segment USING PRIMARY KEY (name=? AND generation=?)"),
    "is_held": (("v", 1, 0, "k", ""), f"SEARCH diptych_letter USING COVERING {BY_KEY})"),
    "forget": (("v", 1, 0, "k", "", 9), f"SEARCH diptych_letter USING COVERING {BY_KEY} AND position<?)"),
    "letters": ((1, "v", 0, 9), "SEARCH diptych_letter USING PRIMARY KEY (name=? AND generation=? AND position>?)"),
    "letters_of": (("v", 1, 0, 9, "k", ""), f"SEARCH diptych_letter USING {BY_KEY} AND position>? AND position<?)"),
    "first_letter": (("v", 1, 9), "SEARCH diptych_letter USING PRIMARY KEY (name=? AND generation=? AND position<?)"),
    "first_letter_of": (
        ("v", 1, 9, "[]"),
        f"SEARCH letter USING {BY_KEY} AND position=?)",
        f"SEARCH first USING COVERING {BY_KEY})",
    ),
    "assign": ((0, "v", 1, "k"), f"SEARCH diptych_letter USING COVERING {BY_KEY})"),
    "skips": (("v",), "SEARCH diptych_skip USING PRIMARY KEY (name=?)"),
}


@pytest.fixture
def kept() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for statement in load_script("diptych.stores.sqlite", "views_schema.sql"):
        connection.execute(statement)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", HOT_VIEWS)
def test_what_each_page_and_each_query_asks_of_a_view_is_found_by_key(kept: sqlite3.Connection, name: str) -> None:
    binds, *wanted = HOT_VIEWS[name]
    found = plan(kept, VIEWS[name], binds)
    assert [one for one in wanted if one not in found] == []
    assert "SCAN diptych" not in found


@pytest.mark.parametrize("name", ["answering", "generations", "letters", "letters_of", "first_letter"])
def test_what_is_read_of_a_view_in_order_is_stored_in_order(kept: sqlite3.Connection, name: str) -> None:
    binds = HOT_VIEWS[name][0] if name in HOT_VIEWS else ("v",)
    assert "TEMP B-TREE" not in plan(kept, VIEWS[name], binds)


class Sale(View, key="sale_id", index=("amount",)):
    sale_id: str
    amount: int
    note: str


@pytest.fixture
def views() -> Iterator[tuple[sqlite3.Connection, RowTable[Sale]]]:
    connection = sqlite3.connect(":memory:")
    table = RowTable(ViewShape(Sale), 1)
    for statement in (table.create, *table.complete()):
        connection.execute(statement)
    yield connection, table
    connection.close()


def test_rows_are_found_by_key(views: tuple[sqlite3.Connection, RowTable[Sale]]) -> None:
    connection, table = views
    ((sql, binds),) = table.lookups(["a", "b", "c"])
    assert "SEARCH row USING PRIMARY KEY (sale_id=?)" in plan(connection, sql, binds)


def test_rows_are_found_by_a_declared_index(views: tuple[sqlite3.Connection, RowTable[Sale]]) -> None:
    connection, table = views
    statement = SqliteSelect(table).rows(Selector(filters=(("amount", ge(3)),)), 10)
    assert "USING INDEX diptych_Sale_1_amount (amount>?)" in plan(connection, *statement)


@pytest.mark.parametrize("descending", [False, True])
def test_a_late_page_is_read_from_the_index(
    views: tuple[sqlite3.Connection, RowTable[Sale]], *, descending: bool
) -> None:
    connection, table = views
    order = (Order("amount", descending), Order("sale_id", descending=False))
    found = plan(connection, *SqliteSelect(table).rows(Selector(order=order, after=(7, "x")), 10))
    assert f"USING INDEX diptych_Sale_1_amount (amount{'<' if descending else '>'}?)" in found
