"""Views in memory: rows in dicts, copied on every commit so that a snapshot stays what it was."""

import operator
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from diptych.errors import Forbidden, NotCaughtUp, TooLarge
from diptych.log import BEGINNING, Anchor, Bell
from diptych.messages import View
from diptych.read import (
    Checkpoint,
    Failure,
    Filter,
    Key,
    Kind,
    NeverFilled,
    Order,
    Selector,
    Snapshot,
    Superseded,
    ViewShape,
)
from diptych.read.filters import Between, Compared, OneOf, Prefix
from diptych.read.views import MAX_ROWS

V = TypeVar("V", bound=View)


class HeldView(NamedTuple):
    """One view as it stands: never changed, only replaced."""

    fingerprint: str
    checkpoint: Checkpoint
    rows: Mapping[Key, Any]


class HeldViews:
    """What a store of views in memory holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.views: dict[str, HeldView] = {}
        self.bells: dict[str, Bell] = {}


class MemoryViews:
    """See `diptych.read.ViewStore`."""

    def __init__(self, held: HeldViews) -> None:
        self._held = held

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        with self._held.lock:
            known = self._held.views.get(shape.name)
            if known is not None and known.fingerprint == shape.fingerprint and known.checkpoint.log_id == log_id:
                return known.checkpoint
            epoch = 1 if known is None else known.checkpoint.epoch + 1
            checkpoint = Checkpoint(log_id, BEGINNING, epoch)
            self._held.views[shape.name] = HeldView(shape.fingerprint, checkpoint, {})
            old = self._held.bells.pop(shape.name, None)
        if old is not None:
            old.ring(2**63)
        return checkpoint

    async def load(self, shape: ViewShape[V], keys: Collection[Key]) -> dict[Key, V]:
        rows = self._view(shape).rows
        return {key: rows[key] for key in keys if key in rows}

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        for row in changes.values():
            if row is not None:
                shape.check(row)
        with self._held.lock:
            view = self._held.views[shape.name]
            now = view.checkpoint
            if (now.position, now.epoch) != (at.position, at.epoch):
                raise Superseded(f"the checkpoint of {shape.name} is not at {at.position} any more")
            changed = {key: row for key, row in changes.items() if row is not None}
            rows = {key: row for key, row in view.rows.items() if key not in changes} | changed
            checkpoint = Checkpoint(at.log_id, upto, at.epoch)
            self._held.views[shape.name] = HeldView(view.fingerprint, checkpoint, rows if changes else view.rows)
        self._bell(shape).ring(upto.position)
        return checkpoint

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        with self._held.lock:
            view = self._held.views[shape.name]
            if (view.checkpoint.position, view.checkpoint.epoch) == (at.position, at.epoch):
                self._held.views[shape.name] = view._replace(checkpoint=at._replace(failure=failure))
        self._bell(shape).ring(at.position)
        return at._replace(failure=failure)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        with self._held.lock:
            views = dict(self._held.views)
        yield MemorySnapshot(views)

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        view = self._held.views.get(shape.name)
        if view is not None and (view.checkpoint.position >= position or view.checkpoint.failure is not None):
            return True
        return await self._bell(shape).reached(position, min(timeout, timedelta(milliseconds=20)))

    def _view(self, shape: ViewShape[Any]) -> HeldView:
        return self._held.views[shape.name]

    def _bell(self, shape: ViewShape[Any]) -> Bell:
        return self._held.bells.setdefault(shape.name, Bell())


class MemorySnapshot:
    """See `diptych.read.Snapshot`."""

    def __init__(self, views: Mapping[str, HeldView]) -> None:
        self._views = views

    async def checkpoint(self, shape: ViewShape[Any]) -> Checkpoint:
        view = self._views.get(shape.name)
        if view is None:
            raise NeverFilled(f"View {shape.name} was never filled; no projector has run.")
        if view.fingerprint != shape.fingerprint:
            position = view.checkpoint.position
            raise NotCaughtUp(
                shape.name, position, position, "another version of the code, with another shape of it, fills it"
            )
        return view.checkpoint

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        rows = self._views[shape.name].rows
        return {key: rows[key] for key in keys if key in rows}

    async def select(self, shape: ViewShape[V], selector: Selector) -> list[V]:
        rows: list[V] = list(self._fitting(shape, selector))
        for field, descending in reversed(selector.order):
            rows.sort(key=lambda row: _sortable(getattr(row, field)), reverse=descending)
        if selector.limit is None and len(rows) > MAX_ROWS:
            raise TooLarge(f"More than {MAX_ROWS} rows of {shape.name} fit; use limit() or page().")
        return rows if selector.limit is None else rows[: selector.limit]

    async def count(self, shape: ViewShape[Any], selector: Selector) -> int:
        return sum(1 for _ in self._fitting(shape, selector))

    async def total(self, shape: ViewShape[Any], field: str, selector: Selector) -> Any:
        zero: Any = {Kind.DECIMAL: Decimal(), Kind.REAL: 0.0}.get(shape.column(field).kind, 0)
        values = [getattr(row, field) for row in self._fitting(shape, selector)]
        return sum([value for value in values if value is not None], zero)

    async def sql(self, statement: str, binds: Mapping[str, object]) -> list[dict[str, Any]]:
        raise Forbidden("Views in memory have no SQL; use a store that has, such as sqlite:///")

    def _fitting(self, shape: ViewShape[V], selector: Selector) -> Iterable[V]:
        for row in self._views[shape.name].rows.values():
            if all(_fits(filter, getattr(row, name)) for name, filter in selector.filters) and (
                selector.after is None or _is_later(row, selector.order, selector.after)
            ):
                yield row


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _fits(filter: Filter, value: Any) -> bool:
    value = _plain(value)
    match filter:
        case Compared("=", other):
            return bool(value == _plain(other))
        case _ if value is None:
            return False
        case Compared(sign, other):
            return bool(_COMPARISONS[sign](value, _plain(other)))
        case Between(low, high):
            return bool(_plain(low) <= value <= _plain(high))
        case OneOf(values):
            return value in map(_plain, values)
        case Prefix(text):
            return bool(value.startswith(text))


def _is_later(row: Any, order: Sequence[Order], values: Sequence[Any]) -> bool:
    for (field, descending), value in zip(order, values, strict=True):
        mine, other = _sortable(getattr(row, field)), _sortable(value)
        if mine != other:
            return bool(mine < other) if descending else bool(mine > other)
    return False


def _sortable(value: Any) -> Any:
    """A value so that None comes first, as in SQL on SQLite."""
    return (False,) if value is None else (True, _plain(value))


def _plain(value: Any) -> Any:
    """What an Enum's member stands for, by which it is compared."""
    return value.value if isinstance(value, Enum) else value
