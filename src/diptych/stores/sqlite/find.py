"""Reads a span of the log: by the index that fits, a bounded piece at a time, in either direction."""

import sqlite3
from typing import Any

import msgspec

from diptych.log import Span
from diptych.log.conditions import STREAM_SEPARATOR
from diptych.stores.sql import load_statements

SCAN_EVENTS = 100_000
"""Events that one page of a filtered read looks at, so that a read for rare ones stays short."""

_SQL = load_statements("diptych.stores.sqlite", "find.sql")

Rows = list[tuple[Any, ...]]


def find(connection: sqlite3.Connection, span: Span, limit: int, head: int) -> tuple[Rows, int]:
    """At most `limit` rows of whole records, and the position up to which the span was read."""
    low, high = span.after, min((span.before or head + 1) - 1, head)
    by = "stream" if span.stream is not None else "tags" if span.tags else "scan"
    if by == "scan":  # no index has it, so only so much is looked at
        low, high = (max(low, high - SCAN_EVENTS), high) if span.backwards else (low, min(high, low + SCAN_EVENTS))
    binds = {
        "low": low,
        "high": high,
        "stream": span.stream,
        "category": None if span.category is None else span.category + STREAM_SEPARATOR,
        "types": msgspec.json.encode(sorted(span.types)),
        "tags": msgspec.json.encode(sorted(span.tags)),
        "tag_count": len(span.tags),
        "limit": limit,
    }
    statement = _SQL[f"find_by_{by}"]
    rows = connection.execute(statement.replace(" ASC ", " DESC ") if span.backwards else statement, binds).fetchall()
    if len(rows) == limit:
        return rows, rows[-1][0]
    return rows, min(low, head) if span.backwards else max(high, 0)
