"""What a read store promises: typed rows by key, and a checkpoint that moves in the transaction of the rows."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from diptych.errors import Unavailable
from diptych.log import Anchor
from diptych.messages import View
from diptych.read.filters import Filter
from diptych.read.shape import Key, ViewShape

V = TypeVar("V", bound=View)


class Failure(msgspec.Struct, frozen=True):
    """Why a projection stands still: the position of the event it cannot apply, the reason, since when (UTC)."""

    position: int
    reason: str
    since: str


class Checkpoint(NamedTuple):
    """Up to where a view has applied every event, and in which filling of it (`epoch`)."""

    log_id: str
    anchor: Anchor
    epoch: int
    failure: Failure | None = None

    @property
    def position(self) -> int:
        """The log position up to which everything is applied."""
        return self.anchor.position

    @property
    def astray(self) -> bool:
        """Whether the view has applied what the log does not hold: its failure stands at an event it has applied."""
        return self.failure is not None and self.failure.position <= self.position


class Superseded(Exception):
    """The checkpoint is not where this projector left it: another one is at work, or the view was begun anew."""


class NeverFilled(Unavailable):
    """No projector has run on the view in this store."""


class Order(NamedTuple):
    """One field to order by."""

    field: str
    descending: bool


class Selector(NamedTuple):
    """Which rows, in which order. `after` holds the order's fields in the last row before the wanted ones.

    Filters have values of their fields' types; the order ends with the whole key, so that it is total.
    """

    filters: tuple[tuple[str, Filter], ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    after: tuple[Any, ...] | None = None


class Snapshot(Protocol):
    """Reads under one snapshot, held read-only by the database. Raises Unavailable."""

    async def checkpoint(self, shape: ViewShape[Any]) -> Checkpoint:
        """Where the view stands in this snapshot. Raises NeverFilled, and NotCaughtUp for one of another shape now."""
        ...

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        """The rows that exist of these keys."""
        ...

    async def select(self, shape: ViewShape[V], selector: Selector) -> list[V]:
        """The rows that fit, in order."""
        ...

    async def count(self, shape: ViewShape[Any], selector: Selector) -> int:
        """How many rows fit."""
        ...

    async def total(self, shape: ViewShape[Any], field: str, selector: Selector) -> Any:
        """The exact sum of a field over the rows that fit, in the field's type; zero over none."""
        ...

    async def sql(self, statement: str, binds: Mapping[str, object]) -> list[dict[str, Any]]:
        """Rows of a SELECT in the store's own SQL."""
        ...


class ViewStore(Protocol):
    """Keeps views. A view is written by its projector alone, and read through snapshots."""

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        """Makes the view ready to be filled: creates it, or begins it anew if its shape or its log is another one."""
        ...

    async def load(self, shape: ViewShape[V], keys: Collection[Key]) -> dict[Key, V]:
        """The rows that exist of these keys, as the projector last wrote them, in one call."""
        ...

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        """Writes the changed rows (None deletes) and moves the checkpoint, in one transaction.

        Raises Superseded if the checkpoint is not at `at` any more, ValueError for a row that the store cannot hold.
        """
        ...

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        """Keeps why the projection stands still; the next commit forgets it."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """A snapshot to read under."""
        ...

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        """Waits until the view's checkpoint may have reached the position, or the time is over; says which.

        It may wake early: whoever needs to know looks at the checkpoint again.
        """
        ...
