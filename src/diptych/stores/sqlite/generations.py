"""The generations of a view in its file: which there are, and how one comes, goes live and goes.

Every function works on a connection, inside the transaction of whoever calls it.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.errors import NotCaughtUp
from diptych.log import Anchor
from diptych.read import Checkpoint, Failure, Generation, ViewShape
from diptych.stores.sql import load_statements
from diptych.stores.sqlite.rows import RowTable

SQL = load_statements("diptych.stores.sqlite", "views.sql")


def live_checkpoint(handle: sqlite3.Connection, shape: ViewShape[Any]) -> Checkpoint | None:
    """Where the live generation stands, or None where there is none. Raises NotCaughtUp for one of another shape."""
    row = handle.execute(SQL["live"], (shape.name,)).fetchone()
    if row is None:
        return None
    generation = _generation(row)
    if generation.fingerprint != shape.fingerprint:
        position = generation.checkpoint.position
        raise NotCaughtUp(
            shape.name, position, position, "another version of the code, with another shape of it, fills it"
        )
    return generation.checkpoint


def generations(handle: sqlite3.Connection, shape: ViewShape[Any]) -> list[Generation]:
    """All of them, in order of their epochs."""
    return [_generation(row) for row in handle.execute(SQL["generations"], (shape.name,)).fetchall()]


def find_epoch(found: Sequence[Generation], epoch: int) -> Generation | None:
    """The generation of this epoch."""
    return next((generation for generation in found if generation.checkpoint.epoch == epoch), None)


def add(handle: sqlite3.Connection, shape: ViewShape[Any], log_id: str, epoch: int) -> Checkpoint:
    """An empty generation beside the others."""
    for statement in RowTable(shape, epoch).create():
        handle.execute(statement)
    handle.execute(SQL["add"], (shape.name, epoch, shape.fingerprint, log_id))
    added = find_epoch(generations(handle, shape), epoch)
    assert added is not None  # noqa: S101 - it was just added
    return added.checkpoint


def drop(handle: sqlite3.Connection, shape: ViewShape[Any], epoch: int) -> None:
    """A generation is gone, with its rows."""
    handle.execute(RowTable(shape, epoch).drop)
    handle.execute(SQL["remove"], (shape.name, epoch))


def go_live(handle: sqlite3.Connection, shape: ViewShape[Any], epoch: int) -> None:
    """A generation answers, and the others are dropped.

    Epochs are given as one more than the highest there is, and none comes again: the one that stays is always the
    highest, or another one is added in the same transaction.
    """
    for generation in generations(handle, shape):
        if generation.checkpoint.epoch != epoch:
            drop(handle, shape, generation.checkpoint.epoch)
    handle.execute(SQL["go_live"], (shape.name, epoch))
    for statement in RowTable(shape, epoch).show():
        handle.execute(statement)


def paused_since(handle: sqlite3.Connection, shape: ViewShape[Any]) -> str | None:
    """Since when a view is paused."""
    row = handle.execute(SQL["paused"], (shape.name,)).fetchone()
    return None if row is None else str(row[0])


def _generation(row: Sequence[Any]) -> Generation:
    fingerprint, live, epoch, log_id, position, event_id, failure, paused = row
    failed = None if failure is None else msgspec.json.decode(failure, type=Failure)
    return Generation(fingerprint, bool(live), Checkpoint(log_id, Anchor(position, event_id), epoch, failed, paused))
