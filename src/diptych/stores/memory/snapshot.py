"""Reading views in memory: filters, order and sums over rows that nothing changes any more."""

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from diptych.errors import Forbidden, NotCaughtUp, TooLarge
from diptych.messages import View
from diptych.read import Filter, Generation, Key, Kind, Letter, NeverFilled, Order, Pause, Selector, ViewShape
from diptych.read.filters import Between, Compared, OneOf, Prefix
from diptych.read.views import MAX_ROWS
from diptych.stores.memory.held import HeldGeneration, answering

V = TypeVar("V", bound=View)


class MemorySnapshot:
    """See `diptych.read.Snapshot`."""

    def __init__(self, views: Mapping[str, Mapping[int, HeldGeneration]], pauses: Mapping[str, Pause]) -> None:
        self._views = views
        self._pauses = pauses

    async def generation(self, shape: ViewShape[Any]) -> Generation:
        return self._held(shape).about._replace(pause=self._pauses.get(shape.name))

    async def held(self, shape: ViewShape[Any], keys: Collection[str] | None, upto: int) -> Letter | None:
        found = [
            letter
            for _, letter in self._held(shape).letters
            if letter.position <= upto and (keys is None or not letter.hold.key or letter.hold.key in keys)
        ]
        return min(found, key=lambda letter: letter.position, default=None)

    async def dead_letters(self, shape: ViewShape[Any], after: int = 0, upto: int | None = None) -> int:
        positions = [letter.position for _, letter in self._held(shape).letters]
        return sum(1 for position in positions if position > after and (upto is None or position <= upto))

    def _held(self, shape: ViewShape[Any]) -> HeldGeneration:
        view = list(self._views.get(shape.name, {}).values())
        if not view:
            raise NeverFilled(f"View {shape.name} was never filled; no worker has run.")
        if (found := answering(view, shape)) is not None:
            return found
        position = view[-1].about.position
        raise NotCaughtUp(
            shape.name, position, position, "another version of the code, with another shape of it, fills it"
        )

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        rows = self._held(shape).rows
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
        for row in self._held(shape).rows.values():
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
