"""From a selector to SQL: names come from the view's shape and are quoted, values are always bound."""

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

from diptych.errors import Malformed
from diptych.read import Column, Filter, Kind, Order, Selector, ViewShape
from diptych.read.columns import MAX_INTEGER, MIN_INTEGER
from diptych.read.filters import Between, Compared, OneOf, Prefix
from diptych.stores.postgres.rows import RowTable, encoder, quoted

_WIDE = Context(prec=64)


class Statement:
    """SQL in the making, and the values bound to it, in order."""

    def __init__(self) -> None:
        self.binds: list[Any] = []

    def bind(self, value: Any) -> str:
        """The mark of one more value."""
        self.binds.append(value)
        return f"${len(self.binds)}"


def select(table: RowTable[Any], selector: Selector, limit: int) -> tuple[str, list[Any]]:
    """The rows that fit, in order, at most `limit`."""
    statement = Statement()
    where = _where(statement, table.shape, selector)
    order = ", ".join(_ordered(table.shape.column(field), descending) for field, descending in selector.order)
    most = statement.bind(min(limit, MAX_INTEGER))
    sql = (
        f"SELECT {table.columns} FROM {table.table}{where}{f' ORDER BY {order}' if order else ''} LIMIT {most}::bigint"  # noqa: S608 - names
    )
    return sql, statement.binds


def count(table: RowTable[Any], selector: Selector) -> tuple[str, list[Any]]:
    """How many rows fit."""
    statement = Statement()
    return f"SELECT count(*) FROM {table.table}{_where(statement, table.shape, selector)}", statement.binds  # noqa: S608 - names


def total(table: RowTable[Any], column: Column, selector: Selector) -> tuple[str, list[Any]]:
    """The sum of a column, which PostgreSQL gives as a number of any length; NULL over nothing."""
    statement = Statement()
    where = _where(statement, table.shape, selector)
    return f"SELECT sum({quoted(column.name)}) FROM {table.table}{where}", statement.binds  # noqa: S608 - names


def _ordered(column: Column, descending: bool) -> str:  # noqa: FBT001 - a part of an order
    """None comes before every value. Where there is none, the index has PostgreSQL's own order."""
    nulls = f" NULLS {'LAST' if descending else 'FIRST'}" if column.optional else ""
    return f"{quoted(column.name)}{' DESC' if descending else ''}{nulls}"


def _where(statement: Statement, shape: ViewShape[Any], selector: Selector) -> str:
    parts = [_condition(statement, shape.column(name), filter) for name, filter in selector.filters]
    if selector.after is not None:
        parts.append(_after(statement, shape, selector.order, selector.after))
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _condition(statement: Statement, column: Column, filter: Filter) -> str:
    name = quoted(column.name)
    match filter:
        case Compared("=", None):
            return f"{name} IS NULL"
        case Compared(operator, value):
            return _comparison(statement, column, operator, value)
        case Between(low, high):
            return f"{_comparison(statement, column, '>=', low)} AND {_comparison(statement, column, '<=', high)}"
        case OneOf(values):
            fitting = [_bound(column, value) for value in values if _floor(column, value) is None]
            return f"{name} = ANY ({statement.bind(fitting)})"
        case Prefix(text):
            begin = statement.bind(_bound(column, text))
            end = _after_prefix(_bound(column, text))
            return f"{name} >= {begin}" if end is None else f"{name} >= {begin} AND {name} < {statement.bind(end)}"


def _comparison(statement: Statement, column: Column, operator: str, value: Any) -> str:
    """Compares with a value; one that the column cannot hold lies between two that it can, or beyond all."""
    name = quoted(column.name)
    floor = _floor(column, value)
    if floor is None:
        return f"{name} {operator} {statement.bind(_bound(column, value))}"
    if operator == "=":
        return "false"
    below = operator in ("<", "<=")
    if not MIN_INTEGER <= floor <= MAX_INTEGER:
        return f"{name} IS NOT NULL" if below == (floor > 0) else "false"
    nearest = Decimal(floor).scaleb(-column.scale, _WIDE) if column.kind is Kind.DECIMAL else floor
    return f"{name} {'<=' if below else '>'} {statement.bind(nearest)}"


def _floor(column: Column, value: Any) -> int | None:
    """For a number that the column cannot hold, the next lower one in units of its last digit; else None."""
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


def _after(statement: Statement, shape: ViewShape[Any], order: Sequence[Order], values: Sequence[Any]) -> str:
    """Rows after one with these values: a later first field, or the same and a later second one, and so on."""
    alternatives: list[str] = []
    same: list[str] = []
    for (field, descending), value in zip(order, values, strict=True):
        name = quoted(field)
        column = shape.column(field)
        if value is None:
            later = None if descending else f"{name} IS NOT NULL"
            equal = f"{name} IS NULL"
        else:
            mark = statement.bind(_bound(column, value))
            less = f"({name} < {mark} OR {name} IS NULL)" if column.optional else f"{name} < {mark}"
            later = less if descending else f"{name} > {mark}"
            equal = f"{name} = {mark}"
        if later is not None:
            alternatives.append(" AND ".join([*same, later]))
        same.append(equal)
    anywhere = "(" + (" OR ".join(f"({part})" for part in alternatives) or "false") + ")"
    first, value = order[0], values[0]
    column = shape.column(first.field)
    if value is None or column.optional:
        return anywhere
    # The first field alone bounds the range that an index is read from, so that a late page costs what the first does.
    mark = statement.bind(_bound(column, value))
    return f"{quoted(first.field)} {'<=' if first.descending else '>='} {mark} AND {anywhere}"


def _bound(column: Column, value: Any) -> Any:
    encode = encoder(column)
    try:
        return value if encode is None else encode(value)
    except ValueError as error:
        raise Malformed(str(error), f"$.{column.name}") from None
