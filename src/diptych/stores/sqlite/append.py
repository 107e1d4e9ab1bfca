"""What an append reads and writes under the file's write lock. When it is taken and given back is not said here."""

import sqlite3
from collections.abc import Collection, Container
from functools import partial
from typing import Any

import msgspec

from diptych.log import EventQuery, Facts, Head, Match, Outcome, RecordedEvent, Verdicts
from diptych.stores.sql import load_statements

_SQL = load_statements("diptych.stores.sqlite", "log.sql")
_NOTHING = Head(0, b"", 0)


def head_of(connection: sqlite3.Connection) -> Head:
    """The newest event."""
    row = connection.execute(_SQL["head"]).fetchone()
    return _NOTHING if row is None else Head(*row)


def outcome_of(connection: sqlite3.Connection, row: tuple[str, bytes, int, str, int, int]) -> Outcome:
    """The outcome that a row of the ledger tells."""
    command_id, fingerprint, position, stream, version, count = row
    types = connection.execute(_SQL["types_between"], (position - count + 1, position)).fetchall() if count else []
    return Outcome(command_id, fingerprint, position, stream, version, tuple([type for (type,) in types]))


def facts_of(writer: sqlite3.Connection, streams: Collection[str], command_ids: Collection[str]) -> Facts:
    """What the log says about these streams and commands."""
    head = head_of(writer)
    if len(streams) == 1 and len(command_ids) == 1:  # the scalar path of a lone client
        (stream,), (command_id,) = streams, command_ids
        versions = {stream: writer.execute(_SQL["version"], (stream,)).fetchone()[0]}
        known = writer.execute(_SQL["outcome"], (command_id,)).fetchall()
    else:
        versions = dict(writer.execute(_SQL["versions"], (msgspec.json.encode(streams),)).fetchall())
        known = writer.execute(_SQL["outcomes"], (msgspec.json.encode(command_ids),)).fetchall()
    return Facts(
        head.position,
        head.recorded_at,
        {stream: version for stream, version in versions.items() if version},
        {row[0]: outcome_of(writer, row) for row in known},
        partial(_newest, writer),
    )


def write(writer: sqlite3.Connection, verdicts: Verdicts, kinds: Container[tuple[str, int]], now: int) -> None:
    """Writes what is to be kept. `kinds` has types and schemas that there are events of already."""
    writer.executemany(_SQL["append_event"], map(_event_row, verdicts.events))
    if tags := [(tag, event.position, event.type) for event in verdicts.events for tag in event.tags]:
        writer.executemany(_SQL["append_tag"], tags)
    if new_kinds := [
        (event.type, event.schema, event.position)
        for event in verdicts.events
        if (event.type, event.schema) not in kinds
    ]:
        writer.executemany(_SQL["append_kind"], new_kinds)
    at = verdicts.events[-1].recorded_at if verdicts.events else now
    writer.executemany(
        _SQL["append_outcome"],
        [
            (id, fingerprint, position, len(types), stream, version, at)
            for id, fingerprint, position, stream, version, types in verdicts.outcomes
        ],
    )


def arrays(match: Match) -> tuple[bytes, bytes]:
    """Tags and types, as the statements take them."""
    return msgspec.json.encode(sorted(match.tags)), msgspec.json.encode(sorted(match.types))


def _event_row(event: RecordedEvent) -> tuple[Any, ...]:
    tags = msgspec.json.encode(event.tags) if event.tags else b""
    return (*event[:7], tags, event.data, event.metadata)


def _newest(connection: sqlite3.Connection, query: EventQuery, after: int) -> int | None:
    found = [position for match in query.matches if (position := _newest_of(connection, match, after)) is not None]
    return max(found, default=None)


def _newest_of(connection: sqlite3.Connection, match: Match, after: int) -> int | None:
    tags, types = arrays(match)
    if match.tags:
        row = connection.execute(_SQL["newest_by_tags"], (tags, after, types, types, len(match.tags))).fetchone()
    elif match.types:
        row = connection.execute(_SQL["newest_by_types"], (types, after)).fetchone()
    else:
        head = head_of(connection).position
        return head if head > after else None
    newest: int | None = row[0]
    return newest
