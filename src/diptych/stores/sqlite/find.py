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
    by = "stream" if span.stream is not None else "tags" if span.tags else "scan"
    piece = span.piece(head, None if span.is_indexed else SCAN_EVENTS)
    binds = {
        "low": piece.low,
        "high": piece.high,
        "stream": span.stream,
        "category": None if span.category is None else span.category + STREAM_SEPARATOR,
        "types": msgspec.json.encode(sorted(span.types)),
        "tag": min(span.tags, default=None),
        "tags": msgspec.json.encode(sorted(span.tags)),
        "tag_count": len(span.tags),
        "limit": limit,
    }
    statement = _SQL[f"find_by_{by}"]
    rows = connection.execute(statement.replace(" ASC ", " DESC ") if span.backwards else statement, binds).fetchall()
    return rows, rows[-1][0] if len(rows) == limit else piece.upto
