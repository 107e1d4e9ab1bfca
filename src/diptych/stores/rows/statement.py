"""SQL with names in it: `:name` for a value, `{name}` for a table. A store gets its own marks and its own names.

What stands in quotes or in a comment is left as it is.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | :: | := )
    | :(?P<value>[A-Za-z_]\w*)
    | \{(?P<table>\w+)\}
    """,
    re.VERBOSE | re.DOTALL,
)

Mark = Callable[[int], str]
"""What stands for the value of this number, counted from 1."""


class Named(NamedTuple):
    """SQL with marks, and the names of the values in the order of their numbers."""

    sql: str
    names: Sequence[str]

    def values(self, binds: Mapping[str, object]) -> list[object]:
        """The values in order. Raises ValueError for one that is missing, or that nothing asks for."""
        for name in self.names:
            if name not in binds:
                raise ValueError(f"it has :{name}, and no value was given for it")
        if unused := set(binds) - set(self.names):
            raise ValueError(f"it does not ask for {', '.join(sorted(unused))}")
        return [binds[name] for name in self.names]


def read_names(statement: str, mark: Mark, tables: Mapping[str, str] | None = None) -> Named:
    """The statement with marks, and with these `tables`. Raises ValueError for a table that is not one of them.

    Without tables, braces are left as they are.
    """
    numbers: dict[str, int] = {}

    def replaced(match: re.Match[str]) -> str:
        if (name := match["value"]) is not None:
            return mark(numbers.setdefault(name, len(numbers) + 1))
        if (name := match["table"]) is None or tables is None:
            return match[0]
        if name not in tables:
            raise ValueError(f"there is no table {{{name}}}, only {', '.join(tables)}")
        return tables[name]

    return Named(_TOKEN.sub(replaced, statement), list(numbers))
