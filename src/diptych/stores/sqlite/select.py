"""How SQLite selects the rows of a view: what is not the same in every SQL."""

from typing import Any

from diptych.read import Column, Selector
from diptych.stores.rows import Select, quoted


class SqliteSelect(Select):
    """See `diptych.stores.rows.Select`. SQLite takes NULL for less than every value by itself."""

    def mark(self, number: int) -> str:
        return f"?{number}"

    def any_of(self, values: list[Any]) -> str:
        return f"IN ({', '.join([self._bind(value) for value in values])})"

    def units(self, column: Column, number: int) -> Any:
        return number

    def total(self, column: Column, selector: Selector) -> tuple[str, list[Any]]:
        """The sum of a column: its upper and its lower 32 bits apart, so that no sum overflows, and as a float."""
        name = quoted(column.name)
        return self._over(f"sum({name} >> 32), sum({name} & 4294967295), total({name})", selector)
