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
    """Up to where a generation of a view, named by its epoch, has applied every event; `paused` says since when (UTC).

    A view that is begun anew gets a higher epoch than any before.
    """

    log_id: str
    anchor: Anchor
    epoch: int
    failure: Failure | None = None
    paused: str | None = None

    @property
    def position(self) -> int:
        """The log position up to which everything is applied."""
        return self.anchor.position

    @property
    def astray(self) -> bool:
        """Whether the view has applied what the log does not hold: its failure stands at an event it has applied."""
        return self.failure is not None and self.failure.position <= self.position

    @property
    def hindrance(self) -> str | None:
        """What keeps the projection from going on, in words, if anything does."""
        failed = self.failure
        words = [f"it stands still at event {failed.position} since {failed.since}: {failed.reason}"] if failed else []
        words += [f"it is paused since {self.paused}"] if self.paused else []
        return "; ".join(words) or None


class Generation(NamedTuple):
    """One filling of a view: the live one answers, another one is filled beside it."""

    fingerprint: str
    live: bool
    checkpoint: Checkpoint

    def fits(self, shape: ViewShape[Any], log_id: str) -> bool:
        """Whether it is of this shape, and filled from this log."""
        return self.fingerprint == shape.fingerprint and self.checkpoint.log_id == log_id

    def may_replace(self, live: "Generation | None") -> bool:
        """Whether no answer becomes older when this one answers in the place of the live one.

        What a live one holds of another log, or of events that the log has lost, is no answer to any token.
        """
        here, there = self.checkpoint, None if live is None else live.checkpoint
        return there is None or there.log_id != here.log_id or there.astray or here.position >= there.position


class Superseded(Exception):
    """A generation is not where its projector left it: others moved or replaced it, or the view is paused."""


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
        """Where the view's live generation stands in this snapshot; what is read of the view afterwards is read there.

        Raises NeverFilled, and NotCaughtUp for one of another shape now.
        """
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
    """Keeps views. A view is written by its projectors alone, and read through snapshots.

    A view has one live generation, which answers, and at most one beside it that is being filled to replace it.
    """

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        """Makes the view ready to be projected, and says where its live generation stands.

        If that is of another shape or log, or there is none, the one beside it goes live if it fits, else an empty one.
        """
        ...

    async def begin(self, shape: ViewShape[Any], log_id: str, *, anew: bool = False) -> Checkpoint:
        """A generation to fill beside the live one: the unfinished one if it fits; else, or if `anew`, an empty one."""
        ...

    async def switch(self, shape: ViewShape[Any], at: Checkpoint) -> bool:
        """Makes the generation of `at` the live one, and drops the one before, in one transaction.

        False, and nothing is changed, where `Generation.may_replace` says no. True if it is live already. Raises
        Superseded if it is gone, or the view is paused.
        """
        ...

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        """The generations that there are, also of other shapes, in order of their epochs."""
        ...

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        """The rows that exist of these keys in the generation of `at`, in one call. Raises Superseded if it is gone."""
        ...

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        """Writes the changed rows (None deletes) and moves the generation's checkpoint, in one transaction.

        Raises Superseded if it is not at `at` any more or the view is paused, ValueError for a row that the store
        cannot hold.
        """
        ...

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        """Keeps why the projection stands still; the next commit forgets it."""
        ...

    async def pause(self, shape: ViewShape[Any], since: str) -> str | None:
        """Refuses every commit to the view from now on. Gives since when it was paused already, None if it was not."""
        ...

    async def resume(self, shape: ViewShape[Any]) -> str | None:
        """Takes commits to the view again. Gives since when it was paused, None if it was not."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """A snapshot to read under."""
        ...

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        """Waits until the view's checkpoint may have reached the position, or cannot, or the time is over; says which.

        It may wake early: whoever needs to know looks at the checkpoint again.
        """
        ...
