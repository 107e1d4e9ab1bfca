"""Keeping views in step with the log, in the transaction of an append, under the log's write lock."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from diptych.errors import ProjectionFailed
from diptych.log import Anchor, RecordedEvent, StoredEvent
from diptych.read import NOTHING_WITHHELD, Checkpoint, Fold, Following, Generation, InStep, Registered, State
from diptych.read.in_step import MOST_BEHIND, within_reach
from diptych.stores.sqlite.checkpoints import SQL, advance
from diptych.stores.sqlite.generations import answering_or_filling
from diptych.stores.sqlite.letters import withheld
from diptych.stores.sqlite.rows import RowChanges, RowTable
from diptych.stores.sqlite.snapshot import find_rows

Page = Callable[[sqlite3.Connection, int, int], Sequence[StoredEvent | RecordedEvent]]
"""Reads events after a position, at most so many; of whole records, or not."""


class KeptInStep:
    """Brings forward what is kept in step, with the folds that this process has.

    `events` and `records` read what a view that was left behind has missed.
    """

    def __init__(self, folds: InStep, events: Page, records: Page) -> None:
        self._folds = folds
        self._pages = {False: events, True: records}
        self._tables: dict[tuple[str, int], RowTable[Any]] = {}

    def follow(self, writer: sqlite3.Connection, new: Sequence[RecordedEvent]) -> list[str]:
        """Brings all views past new events; the names of those that moved. Raises ProjectionFailed, Unavailable."""
        registered = [Registered(*row) for row in writer.execute(SQL["in_step"]).fetchall()]
        folds = [self._folds.fold(view) for view in registered]
        return [fold.shape.name for fold in folds if self._follow(writer, fold, new)]

    def _follow(self, writer: sqlite3.Connection, fold: Fold[Any], new: Sequence[RecordedEvent]) -> bool:
        """Whether the live generation has moved."""
        moved = False
        for generation in answering_or_filling(writer, fold.shape):
            if generation.pause is not None:  # whoever has paused it wants it to be left behind
                return False
            if not within_reach(generation.checkpoints, new[0].position - 1):
                continue
            if generation.state is State.LIVE:
                self._bring(writer, fold, generation, new)
                moved = True
            else:
                self._bring_if_possible(writer, fold, generation, new)
        return moved

    def _bring_if_possible(
        self, writer: sqlite3.Connection, fold: Fold[Any], filling: Generation, new: Sequence[RecordedEvent]
    ) -> None:
        writer.execute("SAVEPOINT filling")
        with suppress(ProjectionFailed):
            self._bring(writer, fold, filling, new)
            writer.execute("RELEASE filling")
            return
        writer.execute("ROLLBACK TO filling")

    def _bring(
        self, writer: sqlite3.Connection, fold: Fold[Any], generation: Generation, new: Sequence[RecordedEvent]
    ) -> None:
        end = Anchor(new[-1].position, new[-1].event_id)
        table = self._table(fold, generation.number)
        for at in generation.checkpoints:
            following = self._following(writer, fold, at, new)
            rows = find_rows(writer, table, list(following.keys))
            try:
                RowChanges(table, following.changes(rows)).write(writer)
            except ValueError as error:
                raise following.refusal(rows, error) from error
            advance(writer, fold.shape.name, at, end)

    def _following(
        self, writer: sqlite3.Connection, fold: Fold[Any], at: Checkpoint, new: Sequence[RecordedEvent]
    ) -> Following:
        missed = new[0].position - 1 - at.position
        events = self._pages[fold.wants_records](writer, at.position, MOST_BEHIND + len(new)) if missed else new
        # What an operator has had passed over may be among what was missed, and is nothing new.
        held = withheld(writer, fold.shape.name, at) if missed or at.parked else NOTHING_WITHHELD
        return Following(fold, at, events, held)

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
