"""How PostgreSQL selects the rows of a view: what is not the same in every SQL."""

from decimal import Context, Decimal
from typing import Any

from diptych.read import Column, Kind, Selector
from diptych.stores.rows import Select, quoted

_WIDE = Context(prec=64)


class PostgresSelect(Select):
    """See `diptych.stores.rows.Select`."""

    def mark(self, number: int) -> str:
        return f"${number}"

    def any_of(self, values: list[Any]) -> str:
        return f"= ANY ({self._bind(values)})"

    def units(self, column: Column, number: int) -> Any:
        return Decimal(number).scaleb(-column.scale, _WIDE) if column.kind is Kind.DECIMAL else number

    def nulls(self, column: Column, *, descending: bool) -> str:
        """Said only of columns that may have NULL: the indexes on the others have PostgreSQL's own order."""
        return " NULLS LAST" if descending else " NULLS FIRST"

    def total(self, column: Column, selector: Selector) -> tuple[str, list[Any]]:
        """The sum of a column, which PostgreSQL gives as a number of any length; NULL over nothing."""
        return self._over(f"sum({quoted(column.name)})", selector)
