"""Keeping views in step with the log, in the transaction of an append, under the log's write lock."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from diptych.errors import ProjectionFailed
from diptych.log import Anchor, RecordedEvent, StoredEvent
from diptych.read import Fold, Following, InStep, Registered, State
from diptych.read.in_step import MOST_BEHIND
from diptych.stores.sqlite.checkpoints import SQL, advance
from diptych.stores.sqlite.generations import of_shape
from diptych.stores.sqlite.letters import withheld
from diptych.stores.sqlite.rows import RowChanges, RowTable
from diptych.stores.sqlite.snapshot import find_rows

Page = Callable[[sqlite3.Connection, int, int], Sequence[StoredEvent | RecordedEvent]]
"""Reads events after a position, at most so many; of whole records, or not."""


class KeptInStep:
    """Brings forward what is kept in step, with the folds that this process has."""

    def __init__(self, folds: InStep, events: Page, records: Page) -> None:
        self._folds = folds
        self._events = events
        self._records = records
        self._tables: dict[tuple[str, int], RowTable[Any]] = {}

    def follow(self, writer: sqlite3.Connection, end: Anchor) -> list[str]:
        """Brings all views to the log's new end; their names. Raises ProjectionFailed, Unavailable."""
        registered = [Registered(*row) for row in writer.execute(SQL["in_step"]).fetchall()]
        for view in registered:
            self._step(writer, self._folds.fold(view), end)
        return [view.view for view in registered]

    def _step(self, writer: sqlite3.Connection, fold: Fold[Any], end: Anchor) -> None:
        shape = fold.shape
        live = of_shape(writer, shape, State.LIVE)
        if live is None or live.pause is not None:  # whoever has paused it wants it to be left behind
            return
        read = self._records if fold.wants_records else self._events
        for at in live.checkpoints:
            events = read(writer, at.position, MOST_BEHIND + 1)
            following = Following(fold, at, events, withheld(writer, shape.name, at))
            table = self._table(fold, live.number)
            changes = following.changes(find_rows(writer, table, list(following.keys)))
            try:
                RowChanges(table, changes).write(writer)
            except ValueError as error:
                raise ProjectionFailed(shape.name, events[-1].type, str(error)) from error
            advance(writer, shape.name, at, end)

    def _table(self, fold: Fold[Any], generation: int) -> RowTable[Any]:
        key = (fold.shape.fingerprint, generation)
        if key not in self._tables:
            self._tables[key] = RowTable(fold.shape, generation)
        return self._tables[key]


def page_of(statement: str, made: Callable[[Any], Any]) -> Page:
    """Reads by a statement, and makes events of its rows."""

    def read(statement: str, writer: sqlite3.Connection, after: int, limit: int) -> list[Any]:
        return [made(row) for row in writer.execute(statement, (after, limit)).fetchall()]

    return partial(read, statement)
