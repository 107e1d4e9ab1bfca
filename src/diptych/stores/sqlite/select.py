"""From a selector to SQL: names come from the view's shape and are quoted, values are always bound."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from diptych.errors import Malformed
from diptych.read import Column, Filter, Kind, Order, Selector, ViewShape
from diptych.read.columns import MAX_INTEGER, MIN_INTEGER
from diptych.read.filters import Between, Compared, OneOf, Prefix
from diptych.stores.sqlite.rows import RowTable, encoder, quoted


class Statement(NamedTuple):
    """SQL and the values bound to it, in order."""

    sql: str
    binds: list[Any]


def select(table: RowTable[Any], selector: Selector, limit: int) -> Statement:
    """The rows that fit, in order, at most `limit`."""
    where = _where(table.shape, selector)
    order = ", ".join(f"{quoted(field)}{' DESC' if descending else ''}" for field, descending in selector.order)
    sql = f"SELECT {table.columns} FROM {table.table}{where.sql}{f' ORDER BY {order}' if order else ''} LIMIT ?"  # noqa: S608 - names
    return Statement(sql, [*where.binds, min(limit, MAX_INTEGER)])


def count(table: RowTable[Any], selector: Selector) -> Statement:
    """How many rows fit."""
    where = _where(table.shape, selector)
    return Statement(f"SELECT count(*) FROM {table.table}{where.sql}", where.binds)  # noqa: S608 - names


def total(table: RowTable[Any], column: Column, selector: Selector) -> Statement:
    """The sum of a column: its upper and its lower 32 bits apart, so that no sum overflows, and as a float."""
    where = _where(table.shape, selector)
    name = quoted(column.name)
    sums = f"sum({name} >> 32), sum({name} & 4294967295), total({name})"
    return Statement(f"SELECT {sums} FROM {table.table}{where.sql}", where.binds)  # noqa: S608 - names


def _where(shape: ViewShape[Any], selector: Selector) -> Statement:
    parts = [_condition(shape.column(name), filter) for name, filter in selector.filters]
    if selector.after is not None:
        parts.append(_after(shape, selector.order, selector.after))
    if not parts:
        return Statement("", [])
    return Statement(
        " WHERE " + " AND ".join(part.sql for part in parts), [bind for part in parts for bind in part.binds]
    )


def _condition(column: Column, filter: Filter) -> Statement:
    name = quoted(column.name)
    match filter:
        case Compared("=", None):
            return Statement(f"{name} IS NULL", [])
        case Compared(operator, value):
            return _comparison(column, operator, value)
        case Between(low, high):
            parts = _comparison(column, ">=", low), _comparison(column, "<=", high)
            return Statement(" AND ".join(part.sql for part in parts), [bind for part in parts for bind in part.binds])
        case OneOf(values):
            fitting = [_bound(column, value) for value in values if _floor(column, value) is None]
            return Statement(f"{name} IN ({', '.join('?' * len(fitting))})", fitting)
        case Prefix(text):
            end = _after_prefix(text)
            if end is None:
                return Statement(f"{name} >= ?", [text])
            return Statement(f"{name} >= ? AND {name} < ?", [text, end])


def _comparison(column: Column, operator: str, value: Any) -> Statement:
    """A comparison that is right for values that the column cannot hold, too: they fall between two that it can."""
    name = quoted(column.name)
    floor = _floor(column, value)
    if floor is None:
        return Statement(f"{name} {operator} ?", [_bound(column, value)])
    if operator == "=":
        return Statement("0", [])
    below = operator in ("<", "<=")
    if not MIN_INTEGER <= floor <= MAX_INTEGER:
        return Statement(f"{name} IS NOT NULL" if below == (floor > 0) else "0", [])
    return Statement(f"{name} {'<=' if below else '>'} ?", [floor])


def _floor(column: Column, value: Any) -> int | None:
    """For a number that the column cannot hold, the next lower integer, which may be out of its range; else None."""
    if column.kind is Kind.DECIMAL:
        numerator, denominator = value.as_integer_ratio()
        floor, rest = divmod(numerator * 10**column.scale, denominator)
    elif column.kind is Kind.INTEGER and isinstance(value, int):
        floor, rest = value, 0
    else:
        return None
    return floor if rest or not MIN_INTEGER <= floor <= MAX_INTEGER else None


def _after_prefix(text: str) -> str | None:
    """The least text that is greater than every text with the prefix, in code point order."""
    for end in range(len(text), 0, -1):
        following = ord(text[end - 1]) + 1
        if following == 0xD800:  # surrogates are no characters
            following = 0xE000
        if following <= 0x10FFFF:
            return text[: end - 1] + chr(following)
    return None


def _after(shape: ViewShape[Any], order: Sequence[Order], values: Sequence[Any]) -> Statement:
    """Rows after one with these values: a later first field, or the same and a later second one, and so on.

    SQLite takes NULL for less than every value.
    """
    alternatives: list[str] = []
    binds: list[Any] = []
    same: list[str] = []
    same_binds: list[Any] = []
    for (field, descending), value in zip(order, values, strict=True):
        name = quoted(field)
        bound = None if value is None else _bound(shape.column(field), value)
        if bound is None:
            later = None if descending else f"{name} IS NOT NULL"
            own_binds: list[Any] = []
        else:
            later = f"({name} < ? OR {name} IS NULL)" if descending else f"{name} > ?"
            own_binds = [bound]
        if later is not None:
            alternatives.append(" AND ".join([*same, later]))
            binds += [*same_binds, *own_binds]
        same.append(f"{name} IS ?")
        same_binds.append(bound)
    anywhere = Statement("(" + (" OR ".join(f"({part})" for part in alternatives) or "0") + ")", binds)
    first, value = order[0], values[0]
    column = shape.column(first.field)
    if value is None or column.optional:
        return anywhere
    # The first field alone bounds the range that an index is read from, so that a late page costs what the first does.
    bound = f"{quoted(first.field)} {'<=' if first.descending else '>='} ?"
    return Statement(f"{bound} AND {anywhere.sql}", [_bound(column, value), *anywhere.binds])


def _bound(column: Column, value: Any) -> Any:
    encode = encoder(column)
    try:
        return value if encode is None else encode(value)
    except ValueError as error:
        raise Malformed(str(error), f"$.{column.name}") from None
