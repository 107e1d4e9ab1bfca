"""Checkpoints in the views' file. Every function works inside the transaction of whoever calls it."""

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from diptych.log import Anchor
from diptych.read import Checkpoint, Failure, Superseded
from diptych.stores.sql import load_statements

SQL = load_statements("diptych.stores.sqlite", "views.sql")


def checkpoint(log_id: str, generation: int, segments: int, row: Iterable[Any]) -> Checkpoint:
    """A segment as it is stored."""
    segment, epoch, position, event_id, owner, parked, failure = row
    failed = None if failure is None else msgspec.json.decode(failure, type=Failure)
    return Checkpoint(log_id, generation, segment, segments, epoch, Anchor(position, event_id), owner, parked, failed)


def advance(handle: sqlite3.Connection, name: str, at: Checkpoint, upto: Anchor) -> bool:
    """Moves a checkpoint; whether its generation is live."""
    where = (*upto, name, at.generation, at.segment, at.epoch, at.position)
    for (live,) in handle.execute(SQL["advance"], where).fetchall():
        return bool(live)
    raise Superseded(
        f"segment {at.segment} of generation {at.generation} of {name} is not at {at.position} any more, or paused"
    )


def lowest(handle: sqlite3.Connection, name: str, generation: int) -> int:
    """Up to where all segments of a generation are."""
    position: int = handle.execute(SQL["lowest"], (name, generation)).fetchone()[0]
    return position


def fail(handle: sqlite3.Connection, name: str, at: Checkpoint, failure: Failure) -> None:
    """Keeps why a segment does not go on."""
    where = (name, at.generation, at.segment, at.epoch, at.position)
    if not handle.execute(SQL["fail"], (msgspec.json.encode(failure), *where)).rowcount:
        raise Superseded(f"segment {at.segment} of {name} is not at {at.position} any more")
