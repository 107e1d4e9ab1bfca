"""How a generation of a view comes to be filled: empty, or on the rows of the live one; and how it is divided anew.

Every function works on a connection, inside the transaction of whoever calls it.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.log import BEGINNING, Anchor
from diptych.read import Checkpoint, Generation, State, Superseded, ViewShape
from diptych.stores.sqlite.checkpoints import SQL
from diptych.stores.sqlite.generations import drop, find, of_shape
from diptych.stores.sqlite.letters import copy_letters, divide_letters
from diptych.stores.sqlite.own_tables import completed, create
from diptych.stores.sqlite.rows import RowTable


def prepare(handle: sqlite3.Connection, shape: ViewShape[Any], log_id: str, segments: int) -> Generation:
    """The generation that fits: live, else unfinished, else new."""
    live = of_shape(handle, shape, State.LIVE)
    return live if live is not None and live.log_id == log_id else begin(handle, shape, log_id, segments, anew=False)


def begin(handle: sqlite3.Connection, shape: ViewShape[Any], log_id: str, segments: int, *, anew: bool) -> Generation:
    """The unfinished generation if it fits, else an empty one."""
    unfinished = of_shape(handle, shape, State.FILLING)
    if unfinished is not None and unfinished.log_id == log_id and not anew:
        return unfinished
    return _standing(handle, shape, _add(handle, shape, log_id, segments, BEGINNING))


def begin_onto(
    handle: sqlite3.Connection, shape: ViewShape[Any], log_id: str, segments: int, onto: Anchor
) -> Generation:
    """A new generation that has the rows of the live one, and what that has parked up to an event."""
    live = of_shape(handle, shape, State.LIVE)
    if live is None or live.log_id != log_id:
        raise Superseded(f"{shape.name} has no live generation of this log to take the rows from")
    number = _add(handle, shape, log_id, segments, onto)
    handle.execute(RowTable(shape, number).copy_from(RowTable(shape, live.number)))
    copy_letters(handle, shape.name, live.number, number, onto.position)
    divide_letters(handle, shape.name, number, segments)
    return _standing(handle, shape, number)


def complete(handle: sqlite3.Connection, shape: ViewShape[Any], number: int) -> None:
    """Makes the indexes of a generation that is there."""
    if find(handle, shape.name, number) is not None:
        for statement in completed(shape, number):
            handle.execute(statement)


def divide(handle: sqlite3.Connection, shape: ViewShape[Any], at: Sequence[Checkpoint], segments: int) -> Generation:
    """Divides a generation into so many free segments, where the ones before were."""
    number = at[0].generation
    found = find(handle, shape.name, number)
    if found is None or not found.stands(at):
        raise Superseded(f"the segments of {shape.name}, generation {number}, are not as they were, or apart")
    anchor = found.checkpoints[0].anchor
    handle.execute(SQL["set_segments"], (segments, shape.name, number))
    handle.execute(SQL["remove_segments"], (shape.name, number))
    epoch, failure = max([one.epoch for one in at]) + 1, found.failure
    failed = None if failure is None else msgspec.json.encode(failure)
    _add_segments(handle, shape.name, number, segments, (epoch, anchor.position, anchor.event_id, failed))
    divide_letters(handle, shape.name, number, segments)
    return _standing(handle, shape, number)


def _add(handle: sqlite3.Connection, shape: ViewShape[Any], log_id: str, segments: int, anchor: Anchor) -> int:
    """A generation without rows, in the place of an unfinished one; its number."""
    if (unfinished := of_shape(handle, shape, State.FILLING)) is not None:
        drop(handle, shape.name, unfinished.number)
    ((number,),) = handle.execute(SQL["next_number"], (shape.name,)).fetchall()
    create(handle, shape, number)
    handle.execute(SQL["add"], (shape.name, number, shape.fingerprint, log_id, segments))
    _add_segments(handle, shape.name, number, segments, (1, anchor.position, anchor.event_id, None))
    return int(number)


def _add_segments(
    handle: sqlite3.Connection, name: str, number: int, segments: int, where: tuple[int, int, bytes, bytes | None]
) -> None:
    """Segments that are all at one epoch, position and event, with one failure."""
    handle.executemany(SQL["add_segment"], [(name, number, segment, *where) for segment in range(segments)])


def _standing(handle: sqlite3.Connection, shape: ViewShape[Any], number: int) -> Generation:
    found = find(handle, shape.name, number)
    assert found is not None  # noqa: S101 - it was just written
    return found
