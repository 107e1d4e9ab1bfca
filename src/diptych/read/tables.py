"""What a user writes to fold events into tables by SQL: the tables, and handlers that write them.

Declaring is all that happens here; `diptych.read.table_fold` makes a running fold of it, and finds what is wrong.
"""

import re
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import MappingProxyType, coroutine
from typing import Any, NamedTuple, TypeVar, overload

from diptych.log import Recorded
from diptych.messages import Event
from diptych.read.shape import Key

E = TypeVar("E", bound=Event | Recorded[Any])

Row = dict[str, Any]
"""A row as the store holds it, by the names of its columns."""

NO_INDEXES: Mapping[str, str] = MappingProxyType({})

_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*(\w*)", re.DOTALL)
_WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "REPLACE", "VALUES")


class Statement(NamedTuple):
    """SQL that a handler asks for: `{name}` stands for a table, `:name` for a value."""

    sql: str
    binds: Mapping[str, object]


class Tables:
    """The tables of a TableProjection, in the transaction that moves its checkpoint.

    A handler awaits them and nothing else: it only says what is to be done, and the store does it. In its SQL
    `{totals}` is the table of that name and `:day` the value `day=`; nothing else is put into it. A statement that
    fails ends the handler, whatever it catches: the event is parked.
    """

    async def execute(self, statement: str, /, **binds: object) -> None:
        """Runs one statement that reads or writes rows."""
        await _asked(_checked(statement, binds))

    async def fetch(self, statement: str, /, **binds: object) -> list[Row]:
        """The rows of one statement, as dicts of what the store holds; more than 10,000 are an error."""
        return await _asked(_checked(statement, binds))


class TableHandler(NamedTuple):
    """A handler as it was declared; `key` is None where what fails holds back its stream."""

    function: Callable[..., Any]
    key: Callable[[Any], Key] | None


class TableProjection:
    """Folds events into tables of one's own by SQL, for what no fold of single rows can say.

    `tables` has for each name the statement that makes the table, in the store's own SQL, with `{name}` for the table:
    every generation has tables of its own. `indexes` has the same for each index. A change of either is noticed by
    itself. A change of what a handler does is not: raise `version` for it, and the tables are filled anew.
    """

    def __init__(
        self, name: str, *, tables: Mapping[str, str], indexes: Mapping[str, str] = NO_INDEXES, version: int = 1
    ) -> None:
        self.name = name
        self.tables = dict(tables)
        self.indexes = dict(indexes)
        self.version = version
        self.handlers: list[TableHandler] = []

    @overload
    def on(
        self, handler: Callable[[Tables, E], Coroutine[Any, Any, None]], /
    ) -> Callable[[Tables, E], Coroutine[Any, Any, None]]: ...
    @overload
    def on(
        self, /, *, key: Callable[[E], Key]
    ) -> Callable[
        [Callable[[Tables, E], Coroutine[Any, Any, None]]], Callable[[Tables, E], Coroutine[Any, Any, None]]
    ]: ...

    def on(self, handler: Callable[..., Any] | None = None, /, *, key: Callable[[Any], Key] | None = None) -> Any:
        """Declares a handler: an async function of the Tables and the event, which may be asked for as `Recorded[E]`.

        An event that cannot be applied is parked with all later events of its stream, or, with `key`, with those for
        which that function gives the same key.
        """

        def declared(function: Callable[..., Any]) -> Callable[..., Any]:
            self.handlers.append(TableHandler(function, key))
            return function

        return declared if handler is None else declared(handler)


@coroutine
def _asked(statement: Statement) -> Generator[Statement, list[Row], list[Row]]:
    """Hands a statement to whoever runs the handler, and gives the answer."""
    return (yield statement)


def _checked(statement: str, binds: Mapping[str, object]) -> Statement:
    """Raises ValueError for what would end the transaction, or change anything but rows."""
    found = _FIRST_WORD.match(statement)
    word = "" if found is None else found[1]
    if word.upper() not in _WORDS:
        raise ValueError(f"a handler reads and writes rows, and does not {word or 'say nothing'}")
    return Statement(statement, binds)
