"""A user's own SELECT: its `:name` binds as PostgreSQL takes them, and what it may be. No I/O."""

from collections.abc import Mapping

from diptych.errors import Malformed
from diptych.stores.rows import read_names


def mark(number: int) -> str:
    """What stands for the value of this number."""
    return f"${number}"


def as_subquery(statement: str, binds: Mapping[str, object], most: int) -> tuple[str, list[object]]:
    """The statement as a part of a SELECT, which nothing but a SELECT can be, with at most so many rows.

    Raises Malformed for a bind that is missing, or that nothing asks for.
    """
    named = read_names(statement, mark)
    try:
        values = named.values(binds)
    except ValueError as error:
        raise Malformed(f"This SQL does not run: {error}") from None
    inner = named.sql.strip().removesuffix(";")
    return f"SELECT * FROM (\n{inner}\n) AS answer LIMIT {most}", values  # noqa: S608 - held to reading by the transaction
