"""The shape of what a TableProjection fills: the statements that make its tables, and the fingerprint of all that."""

import hashlib
import re
from types import new_class
from typing import Any

import msgspec

from diptych.messages import View
from diptych.read.letters import Hold
from diptych.read.shape import Key, ViewShape
from diptych.read.tables import TableProjection

LONGEST = 50
"""Characters of a projection's name and of a table's or index's together: what fits into a name on every store."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class TableShape(ViewShape[Any]):
    """A view whose rows only SQL knows. Raises TypeError for tables or indexes that make no sense, saying why.

    What is held back of it is named by `Hold` itself, as its rows have no keys that anybody else would know.
    """

    def __init__(self, projection: TableProjection) -> None:
        self.sync = False
        self.name = projection.name
        self.view = new_class(projection.name, (View,))  # nobody asks for its rows: it stands for them in a context
        self.columns = self.key = self.index = ()
        self.tables = projection.tables
        self.indexes = projection.indexes
        self._judge()
        described = (self.name, projection.version, "tables", self.tables, self.indexes)
        self.fingerprint = hashlib.sha256(msgspec.json.encode(described)).hexdigest()[:32]

    def hold(self, key: Key) -> Hold:
        """What is held back by the key that a key function gives. Raises TypeError for what has no JSON."""
        return Hold(msgspec.json.encode(key).decode())

    def key_text(self, key: Hold) -> str:
        return key.key

    def check_key(self, key: Hold) -> None:
        """What a key function gives is never refused by a store: it is not in a column."""

    def _judge(self) -> None:
        if not self.tables:
            raise TypeError('has no tables: say tables={"totals": "CREATE TABLE {totals} (...)"}')
        names = [*self.tables, *self.indexes]
        for name in names:
            if _NAME.fullmatch(name) is None or len(self.name) + len(name) > LONGEST:
                raise TypeError(
                    f"has the table or index {name!r}; it is named by letters, digits and underscores, "
                    f"{LONGEST} with the projection's own name"
                )
            if [other.lower() for other in names].count(name.lower()) > 1:
                raise TypeError(f"has {name!r} twice among its tables and indexes; upper and lower case do not differ")
        for name, statement in self.tables.items():
            if re.match(rf"\s*CREATE\s+TABLE\s+\{{{name}\}}[\s(]", statement, re.IGNORECASE) is None:
                raise TypeError(f"makes the table {name!r} by {statement!r}; say CREATE TABLE {{{name}}} (...)")
        for name, statement in self.indexes.items():
            if re.match(rf"\s*CREATE\s+(UNIQUE\s+)?INDEX\s+\{{{name}\}}\s+ON\s", statement, re.IGNORECASE) is None:
                raise TypeError(
                    f"makes the index {name!r} by {statement!r}; say CREATE INDEX {{{name}}} ON {{...}} (...)"
                )
