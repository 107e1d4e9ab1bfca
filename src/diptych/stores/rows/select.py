"""From a selector to SQL: names come from the view's shape and are quoted, values are always bound."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from diptych.errors import Malformed
from diptych.read import Column, Filter, Kind, Order, Selector
from diptych.read.columns import MAX_INTEGER, MIN_INTEGER
from diptych.read.filters import Between, Compared, OneOf, Prefix
from diptych.stores.rows.table import Rows, quoted

Statement = tuple[str, list[Any]]
"""SQL, and the values bound to it in order."""


class Select(ABC):
    """One statement in the making that reads a table. A store says what SQL does not say the same way everywhere."""

    def __init__(self, table: Rows[Any]) -> None:
        self._table = table
        self._binds: list[Any] = []

    @abstractmethod
    def mark(self, number: int) -> str:
        """What stands for the bind of this number, counted from 1."""

    @abstractmethod
    def any_of(self, values: list[Any]) -> str:
        """What comes behind the name of a column that has one of these values, as they are stored."""

    @abstractmethod
    def units(self, column: Column, number: int) -> Any:
        """So many units of the last digit of a number's column, as they are stored."""

    def nulls(self, column: Column, *, descending: bool) -> str:
        """What has NULL come before every value, where the database has it otherwise."""
        return ""

    def rows(self, selector: Selector, limit: int) -> Statement:
        """The rows that fit, in order, at most `limit`."""
        table = self._table
        where = self._where(selector)
        order = ", ".join(self._ordered(table.shape.column(field), descending) for field, descending in selector.order)
        by = f" ORDER BY {order}" if order else ""
        most = self._bind(min(limit, MAX_INTEGER))
        return f"SELECT {table.columns} FROM {table.table}{where}{by} LIMIT {most}", self._binds  # noqa: S608 - names

    def count(self, selector: Selector) -> Statement:
        """How many rows fit."""
        return self._over("count(*)", selector)

    def _over(self, aggregates: str, selector: Selector) -> Statement:
        """These aggregates over the rows that fit."""
        return f"SELECT {aggregates} FROM {self._table.table}{self._where(selector)}", self._binds  # noqa: S608 - names

    def _bind(self, value: Any) -> str:
        """The mark of one more value."""
        self._binds.append(value)
        return self.mark(len(self._binds))

    def _bind_in(self, column: Column, value: Any) -> str:
        """The mark of one more value of a column. Raises Malformed where the column cannot hold it."""
        return self._bind(self._encoded(column, value))

    def _encoded(self, column: Column, value: Any) -> Any:
        encode = self._table.encoder(column)
        try:
            return value if encode is None else encode(value)
        except ValueError as error:
            raise Malformed(str(error), f"$.{column.name}") from None

    def _ordered(self, column: Column, descending: bool) -> str:  # noqa: FBT001 - a part of an order
        return (
            f"{quoted(column.name)}{' DESC' if descending else ''}"
            f"{self.nulls(column, descending=descending) if column.optional else ''}"
        )

    def _where(self, selector: Selector) -> str:
        parts = [self._condition(self._table.shape.column(name), filter) for name, filter in selector.filters]
        if selector.after is not None:
            parts.append(self._after(selector.order, selector.after))
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def _condition(self, column: Column, filter: Filter) -> str:
        name = quoted(column.name)
        match filter:
            case Compared("=", None):
                return f"{name} IS NULL"
            case Compared(operator, value):
                return self._comparison(column, operator, value)
            case Between(low, high):
                return f"{self._comparison(column, '>=', low)} AND {self._comparison(column, '<=', high)}"
            case OneOf(values):
                fitting = [self._encoded(column, value) for value in values if floor(column, value) is None]
                return f"{name} {self.any_of(fitting)}"
            case Prefix(text):
                begin = self._encoded(column, text)
                end = after_prefix(begin)
                from_begin = f"{name} >= {self._bind(begin)}"
                return from_begin if end is None else f"{from_begin} AND {name} < {self._bind(end)}"

    def _comparison(self, column: Column, operator: str, value: Any) -> str:
        """Compares with a value; one that the column cannot hold lies between two that it can, or beyond all."""
        name = quoted(column.name)
        lower = floor(column, value)
        if lower is None:
            return f"{name} {operator} {self._bind_in(column, value)}"
        if operator == "=":
            return "false"
        below = operator in ("<", "<=")
        if not MIN_INTEGER <= lower <= MAX_INTEGER:
            return f"{name} IS NOT NULL" if below == (lower > 0) else "false"
        return f"{name} {'<=' if below else '>'} {self._bind(self.units(column, lower))}"

    def _after(self, order: Sequence[Order], values: Sequence[Any]) -> str:
        """Rows after one with these values: a later first field, or the same and a later second one, and so on."""
        alternatives: list[str] = []
        same: list[str] = []
        for (field, descending), value in zip(order, values, strict=True):
            name, column = quoted(field), self._table.shape.column(field)
            if value is None:
                later = None if descending else f"{name} IS NOT NULL"
                equal = f"{name} IS NULL"
            else:
                mark = self._bind_in(column, value)
                less = f"({name} < {mark} OR {name} IS NULL)" if column.optional else f"{name} < {mark}"
                later = less if descending else f"{name} > {mark}"
                equal = f"{name} = {mark}"
            if later is not None:
                alternatives.append(" AND ".join([*same, later]))
            same.append(equal)
        anywhere = "(" + (" OR ".join(f"({part})" for part in alternatives) or "false") + ")"
        first, value = order[0], values[0]
        column = self._table.shape.column(first.field)
        if value is None or column.optional:
            return anywhere
        # The first field alone bounds the range that an index is read from: a late page costs what the first does.
        bound = f"{quoted(first.field)} {'<=' if first.descending else '>='} {self._bind_in(column, value)}"
        return f"{bound} AND {anywhere}"


def floor(column: Column, value: Any) -> int | None:
    """For a number that the column cannot hold, the next lower one in units of its last digit; else None."""
    if column.kind is Kind.DECIMAL:
        numerator, denominator = value.as_integer_ratio()
        lower, rest = divmod(numerator * 10**column.scale, denominator)
    elif column.kind is Kind.INTEGER and isinstance(value, int):
        lower, rest = value, 0
    else:
        return None
    return lower if rest or not MIN_INTEGER <= lower <= MAX_INTEGER else None


def after_prefix(text: str) -> str | None:
    """The least text that is greater than every text with the prefix, in code point order."""
    for end in range(len(text), 0, -1):
        following = ord(text[end - 1]) + 1
        if following == 0xD800:  # surrogates are no characters
            following = 0xE000
        if following <= 0x10FFFF:
            return text[: end - 1] + chr(following)
    return None
