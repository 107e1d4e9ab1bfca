"""What a query handler reads from: typed rows of views, all under one snapshot, read-only by force of the database."""

from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from diptych.errors import Malformed, NotFound, TooLarge
from diptych.messages import View
from diptych.messages.words import did_you_mean
from diptych.read.checkpoint import Generation
from diptych.read.columns import ORDERED, SUMMABLE, Column, Kind, typed_value
from diptych.read.cursor import read_cursor, write_cursor
from diptych.read.filters import Between, Compared, Filter, OneOf, Prefix, as_filter
from diptych.read.letters import Letter
from diptych.read.shape import Key, ViewShape
from diptych.read.store import Order, Selector, Snapshot

V = TypeVar("V", bound=View)

MAX_ROWS = 10_000
"""Rows that a selection without a limit may give; more is TooLarge, never cut off in silence."""


MAX_ALTERNATIVES = 1000
"""Values that one `one_of` may have."""


class Behind(Exception):
    """A view that the query reads does not have the wanted position in this snapshot, or not for a key of it.

    `letter` is the dead letter that holds the key back.
    """

    def __init__(self, shape: ViewShape[Any], generation: Generation, letter: Letter | None = None) -> None:
        super().__init__(shape.name)
        self.shape = shape
        self.generation = generation
        self.letter = letter


class Page(NamedTuple, Generic[V]):
    """Rows in order, and the cursor of the next page; None after the last."""

    items: list[V]
    cursor: str | None


class Views:
    """All views of a context, under one snapshot. `views[OrderSummary]` gives the rows of one."""

    def __init__(self, snapshot: Snapshot, shapes: Mapping[type[View], ViewShape[Any]], wanted: int) -> None:
        self._snapshot = snapshot
        self._shapes = shapes
        self._wanted = wanted
        self.seen: dict[ViewShape[Any], Generation] = {}
        self.behind: Behind | None = None

    def __getitem__(self, view: type[V]) -> "Rows[V]":
        shape = self._shapes.get(view)
        if shape is None:
            known = [kind.__name__ for kind in self._shapes]
            raise NotFound(f"No projection of this context fills {view.__name__}{did_you_mean(view.__name__, known)}")
        return Rows(self, shape)

    async def sql(self, statement: str, **binds: object) -> list[dict[str, Any]]:
        """Rows of one SELECT in the store's own SQL, as dicts of what the store holds; `:name` binds a value.

        A view's table has the view's stored name. On SQLite a Decimal is an integer of its last digit (with a scale of
        2: cents), a time is ISO text in UTC; `decimal(value, scale)` gives a Decimal's exact text. On PostgreSQL they
        are what they are, and names that are not quoted are found in lower case. Raises Malformed for
        SQL that does not run, Forbidden for anything but reading, TooLarge for more than 10,000 rows.
        """
        for shape in self._shapes.values():
            await self.admit(shape)
        return await self._snapshot.sql(statement, binds)

    async def admit(self, shape: ViewShape[Any], keys: Collection[Key] | None = None) -> Snapshot:
        """The snapshot, once the view is known to be fresh enough in it for these keys, or for all. Raises Behind."""
        generation = self.seen.get(shape)
        if generation is None:
            generation = await self._snapshot.generation(shape)
            if not generation.live or (self._wanted and (generation.position < self._wanted or generation.astray)):
                raise self._behind(Behind(shape, generation))
            self.seen[shape] = generation
        if self._wanted and generation.parked:
            texts = None if keys is None else [shape.key_text(key) for key in keys]
            if (letter := await self._snapshot.held(shape, texts, self._wanted)) is not None:
                raise self._behind(Behind(shape, generation, letter))
        return self._snapshot

    def _behind(self, behind: Behind) -> Behind:
        self.behind = behind
        return behind


class Selection(Generic[V]):
    """Some rows of a view: narrowed, ordered and limited step by step, then awaited. Never changed in place."""

    def __init__(self, views: Views, shape: ViewShape[V], selector: Selector) -> None:
        self._views = views
        self._shape = shape
        self._selector = selector

    def where(self, **conditions: object) -> "Selection[V]":
        """Rows whose fields equal the values, or fit the filters: ge, gt, le, lt, between, one_of, prefix.

        Raises NotFound for an unknown field, Malformed for a value that is not of the field's type.
        """
        added = tuple([(name, _typed(self._shape.column(name), value)) for name, value in conditions.items()])
        return self._with(self._selector._replace(filters=self._selector.filters + added))

    def order_by(self, *fields: str) -> "Selection[V]":
        """Ordered by these fields, a leading `-` for descending; rows that are equal in them, by key."""
        return self._with(self._selector._replace(order=tuple([_order(self._shape, field) for field in fields])))

    def limit(self, rows: int) -> "Selection[V]":
        """At most this many rows."""
        if rows < 0:
            raise Malformed(f"Expected a limit of 0 or more, got {rows}")
        return self._with(self._selector._replace(limit=rows))

    def __await__(self) -> Generator[Any, None, list[V]]:
        return self._rows().__await__()

    async def page(self, size: int, cursor: str | None = None) -> Page[V]:
        """The page after the cursor; the first without one. A late page costs what the first does.

        Raises Malformed for a cursor of another question, or one that was changed.
        """
        if size < 1:
            raise Malformed(f"Expected a page of 1 row or more, got {size}")
        total = self._totally_ordered()
        after = None if cursor is None else read_cursor(self._shape, total, cursor)
        snapshot = await self._views.admit(self._shape)
        rows = await snapshot.select(self._shape, total._replace(limit=size + 1, after=after))
        if len(rows) <= size:
            return Page(rows, None)
        last = [getattr(rows[size - 1], order.field) for order in total.order]
        return Page(rows[:size], write_cursor(self._shape, total, last))

    async def count(self) -> int:
        """How many rows there are."""
        snapshot = await self._views.admit(self._shape)
        return await snapshot.count(self._shape, self._selector)

    async def sum(self, field: str) -> Any:
        """The exact sum of a field, in the field's type; zero over no rows. Raises Malformed if it is not a number."""
        column = self._shape.column(field)
        if column.kind not in SUMMABLE:
            raise Malformed(f"{self._shape.name}.{field} is not a number and has no sum")
        snapshot = await self._views.admit(self._shape)
        return await snapshot.total(self._shape, field, self._selector)

    async def _rows(self) -> list[V]:
        snapshot = await self._views.admit(self._shape)
        return await snapshot.select(self._shape, self._totally_ordered())

    def _totally_ordered(self) -> Selector:
        named = {order.field for order in self._selector.order}
        rest = tuple([Order(name, descending=False) for name in self._shape.key if name not in named])
        return self._selector._replace(order=self._selector.order + rest)

    def _with(self, selector: Selector) -> "Selection[V]":
        return Selection(self._views, self._shape, selector)


EVERYTHING = Selector()


class Rows(Selection[V]):
    """All rows of a view."""

    def __init__(self, views: Views, shape: ViewShape[V]) -> None:
        super().__init__(views, shape, EVERYTHING)

    async def get(self, key: Key) -> V | None:
        """The row of a key (a tuple where the key has several fields), or None."""
        key = self._shape.key_value(key)
        snapshot = await self._views.admit(self._shape, (key,))
        return (await snapshot.get_many(self._shape, [key])).get(key)

    async def get_many(self, keys: Iterable[Key]) -> list[V]:
        """The rows that exist of these keys, in the order of the keys."""
        wanted = [self._shape.key_value(key) for key in keys]
        snapshot = await self._views.admit(self._shape, wanted)
        found = await snapshot.get_many(self._shape, wanted)
        return [found[key] for key in wanted if key in found]


def _order(shape: ViewShape[Any], field: str) -> Order:
    column = shape.column(field.removeprefix("-"))
    if column.kind not in ORDERED:
        raise Malformed(f"{shape.name}.{column.name} has no order")
    return Order(column.name, field.startswith("-"))


def _typed(column: Column, value: object) -> Filter:
    """The filter with its values in the type of the field."""
    if column.kind is Kind.JSON:
        raise Malformed("A field of nested values cannot be filtered", f"$.{column.name}")
    match as_filter(value):
        case Compared("=", None):
            return Compared("=", None)
        case Compared(operator, operand):
            return Compared(operator, typed_value(column, operand))
        case Between(low, high):
            return Between(typed_value(column, low), typed_value(column, high))
        case OneOf(values):
            if len(values) > MAX_ALTERNATIVES:
                raise TooLarge(f"one_of takes at most {MAX_ALTERNATIVES} values, got {len(values)}")
            return OneOf(tuple([typed_value(column, item) for item in values]))
        case Prefix(text):
            if column.kind is not Kind.TEXT:
                raise Malformed("Only text has a prefix", f"$.{column.name}")
            return Prefix(typed_value(column, text))
