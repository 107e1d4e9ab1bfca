"""The generations of a view in its file: which there are, how one goes live, and how one goes.

Every function works on a connection, inside the transaction of whoever calls it.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from diptych.read import Generation, Pause, State, ViewShape, numbered
from diptych.stores.rows import quoted
from diptych.stores.sqlite.checkpoints import SQL, checkpoint
from diptych.stores.sqlite.rows import dropped_name, table_name


def answering(handle: sqlite3.Connection, shape: ViewShape[Any]) -> Generation | None:
    """The live generation of a shape, else the one that is filled to be it."""
    found = answering_or_filling(handle, shape)
    return next((one for one in found if one.live), found[0]) if found else None


def answering_or_filling(handle: sqlite3.Connection, shape: ViewShape[Any]) -> Sequence[Generation]:
    """The live generation of a shape, and the one that is filled, as far as there are any."""
    return _generations(tuple(handle.execute(SQL["answering"], (shape.name, shape.fingerprint)).fetchall()))


def generations(handle: sqlite3.Connection, name: str) -> list[Generation]:
    """All of a view, in order of their numbers."""
    return list(_generations(tuple(handle.execute(SQL["generations"], (name,)).fetchall())))


def of_shape(handle: sqlite3.Connection, shape: ViewShape[Any], state: State) -> Generation | None:
    """The generation of a shape that is live, or is filled."""
    found = [one for one in generations(handle, shape.name) if one.fingerprint == shape.fingerprint]
    return next((one for one in found if one.state is state), None)


def find(handle: sqlite3.Connection, name: str, number: int) -> Generation | None:
    """The generation of this number."""
    return numbered(generations(handle, name), number)


def go_live(handle: sqlite3.Connection, name: str, ready: Generation, before: Generation | None, *, keep: bool) -> None:
    """A generation answers in the place of another, which is kept or dropped."""
    show(handle, name, ready.number)
    if before is not None and keep:
        handle.execute(SQL["set_state"], (State.KEPT.value, name, before.number))
    elif before is not None:
        drop(handle, name, before.number)
    handle.execute(SQL["set_state"], (State.LIVE.value, name, ready.number))


def drop(handle: sqlite3.Connection, name: str, number: int) -> None:
    """A generation is gone. Its rows are put aside, to be removed in time: a large table would take a long one."""
    for statement in ("remove", "remove_segments", "remove_letters"):
        handle.execute(SQL[statement], (name, number))
    if handle.execute(SQL["shown"], (name,)).fetchone() == (number,):
        rest = [one.number for one in generations(handle, name) if one.live]
        show(handle, name, max(rest, default=None))
    for table in _tables(handle, name, number).values():
        handle.execute(f"ALTER TABLE {quoted(table)} RENAME TO {quoted(dropped_name(table))}")


def show(handle: sqlite3.Connection, name: str, number: int | None) -> None:
    """The SQL views of the view's own name, or of its own tables' names, show this generation, or are gone."""
    before = handle.execute(SQL["shown"], (name,)).fetchone()
    tables = {} if number is None else _tables(handle, name, number)
    for view in {*_tables(handle, name, before[0]), *tables}:
        handle.execute(f"DROP VIEW IF EXISTS {quoted(view)}")
    for view, table in tables.items():
        handle.execute(f"CREATE VIEW {quoted(view)} AS SELECT * FROM {quoted(table)}")  # noqa: S608 - names
    handle.execute(SQL["set_shown"], (number, name))


def paused(handle: sqlite3.Connection, name: str) -> Pause | None:
    """The pause of a view."""
    row = handle.execute(SQL["paused"], (name,)).fetchone()
    return None if row is None else Pause(*row)


def _tables(handle: sqlite3.Connection, name: str, number: int | None) -> dict[str, str]:
    """The tables of a generation, of whatever shape, by the names that SQL finds them by."""
    base = table_name(name, number or 0)
    tables = [table for (table,) in handle.execute(SQL["tables"], (base,)).fetchall()]
    return {table.removeprefix(base).removeprefix("$") or name: table for table in tables}


@lru_cache(maxsize=256)
def _generations(rows: Iterable[Sequence[Any]]) -> Sequence[Generation]:
    """Remembers what was made of the same rows before: many queries ask between two commits."""
    return tuple([_generation(list(of_one)) for _, of_one in groupby(rows, itemgetter(0))])


def _generation(rows: Sequence[Sequence[Any]]) -> Generation:
    number, fingerprint, log_id, state, segments, since, reason = rows[0][:7]
    checkpoints = tuple([checkpoint(log_id, number, segments, row[7:]) for row in rows])
    pause = None if since is None else Pause(since, reason)
    return Generation(number, fingerprint, log_id, State(state), checkpoints, pause)
