"""A user's own SELECT: its `:name` binds as PostgreSQL takes them, and what it may be. No I/O."""

import re
from collections.abc import Mapping

from diptych.errors import Malformed

_TOKEN = re.compile(
    r"""
      (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | :: | := )
    | :(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


def as_subquery(statement: str, binds: Mapping[str, object], most: int) -> tuple[str, list[object]]:
    """The statement as a part of a SELECT, which nothing but a SELECT can be, with at most so many rows.

    Raises Malformed for a bind that is missing, or that nothing asks for.
    """
    numbers: dict[str, int] = {}

    def mark(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        if name not in binds:
            raise Malformed(f"This SQL does not run: it has :{name}, and no value was given for it")
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    inner = _TOKEN.sub(mark, statement).strip().removesuffix(";")
    if unused := set(binds) - set(numbers):
        raise Malformed(f"This SQL does not run: it does not ask for {', '.join(sorted(unused))}")
    return f"SELECT * FROM (\n{inner}\n) AS answer LIMIT {most}", [binds[name] for name in numbers]  # noqa: S608 - held to reading by the transaction
