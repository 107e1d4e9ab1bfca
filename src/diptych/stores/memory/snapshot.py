"""Reading views in memory: filters, order and sums over rows that nothing changes any more."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from diptych.errors import Forbidden, NotCaughtUp, TooLarge
from diptych.messages import View
from diptych.read import Checkpoint, Filter, Generation, Key, Kind, NeverFilled, Order, Selector, ViewShape
from diptych.read.filters import Between, Compared, OneOf, Prefix
from diptych.read.views import MAX_ROWS

V = TypeVar("V", bound=View)


class HeldGeneration(NamedTuple):
    """One generation of a view as it stands: never changed, only replaced."""

    about: Generation
    rows: Mapping[Key, Any]


class MemorySnapshot:
    """See `diptych.read.Snapshot`."""

    def __init__(self, views: Mapping[str, HeldGeneration], paused: Mapping[str, str]) -> None:
        self._views = views
        self._paused = paused

    async def checkpoint(self, shape: ViewShape[Any]) -> Checkpoint:
        view = self._views.get(shape.name)
        if view is None:
            raise NeverFilled(f"View {shape.name} was never filled; no projector has run.")
        checkpoint = view.about.checkpoint
        if view.about.fingerprint != shape.fingerprint:
            position = checkpoint.position
            raise NotCaughtUp(
                shape.name, position, position, "another version of the code, with another shape of it, fills it"
            )
        return checkpoint._replace(paused=self._paused.get(shape.name))

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
