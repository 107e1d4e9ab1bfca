"""What a read store promises: typed rows by key, and a checkpoint that moves in the transaction of the rows."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from diptych.log import Anchor
from diptych.messages import View
from diptych.read.checkpoint import Checkpoint, Failure, Generation, Pause
from diptych.read.filters import Filter
from diptych.read.in_step import Registered
from diptych.read.letters import Held, Hold, Letter, Skip, Withheld
from diptych.read.shape import Key, ViewShape
from diptych.read.table_fold import TableChanges
from diptych.read.workers import Worker

V = TypeVar("V", bound=View)


Changes = Mapping[Key, V | None] | TableChanges
"""Rows by key, None for one that is gone; or, where the shape is a TableShape, what handlers do by SQL."""


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

    async def generation(self, shape: ViewShape[Any]) -> Generation:
        """The live generation of this shape in this snapshot, or, where none is yet, the one that is filled to be it.

        What is read of the view afterwards is read there. Raises NeverFilled, and NotCaughtUp where there are only
        generations of other shapes.
        """
        ...

    async def held(self, shape: ViewShape[Any], keys: Collection[str] | None, upto: int) -> Letter | None:
        """The first dead letter at or before a position, that holds back one of these keys (texts), or any without.

        A letter that holds back a stream may concern every key.
        """
        ...

    async def dead_letters(self, shape: ViewShape[Any], after: int = 0, upto: int | None = None) -> int:
        """How many letters there are of events after a position, and up to another or to the end."""
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

    Code of one fingerprint has one live generation of a view, which answers, and at most one that is being filled to
    replace it. Generations of other fingerprints are of other versions of the code, and are left alone.
    """

    # Generations

    async def prepare(self, shape: ViewShape[Any], log_id: str, segments: int = 1) -> Generation:
        """The generation that fits: the live one; else the one being filled; else a new empty one, so divided."""
        ...

    async def begin(
        self,
        shape: ViewShape[Any],
        log_id: str,
        segments: int = 1,
        *,
        anew: bool = False,
        onto: Anchor | None = None,
    ) -> Generation:
        """A generation to fill beside the live one: the unfinished one if it fits; else, or if `anew`, an empty one.

        With `onto` it is always a new one: it has the live one's rows, the letters up to that event, and stands there.
        Raises Superseded where there is no live one to take them from.
        """
        ...

    async def complete(self, shape: ViewShape[Any], number: int) -> None:
        """Makes what is put off while a generation is filled, its indexes; nothing where that is done already."""
        ...

    async def switch(self, shape: ViewShape[Any], number: int, *, keep: bool = False) -> bool:
        """Makes a generation the live one of its fingerprint, in one transaction; the one before is dropped, or kept.

        False, and nothing is changed, where `Generation.may_replace` says no. True if it is live already. Raises
        Superseded if it is gone, or the view is paused.
        """
        ...

    async def drop(self, shape: ViewShape[Any], number: int) -> bool:
        """Drops a generation, of whatever shape, with all that is its own; False if there is none.

        One of this shape that is live is not dropped: Superseded is raised.
        """
        ...

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        """The generations that there are of the view's name, also of other shapes, in order of their numbers."""
        ...

    async def resegment(self, shape: ViewShape[Any], at: Sequence[Checkpoint], segments: int) -> Generation:
        """Divides a generation anew, in one transaction: what is parked goes along, and no segment has an owner.

        `at` has the checkpoint of every segment. Raises Superseded unless `Generation.stands` says that they may be.
        """
        ...

    # In step with the log

    async def join(self, shape: ViewShape[Any]) -> None:
        """Has every append from now on bring the live generation along, in its own transaction, by code of this shape.

        It takes the place of other code that did so: processes that have only that cannot append any more. Raises
        Superseded where no generation of this shape is live.
        """
        ...

    async def part(self, view: str) -> bool:
        """Has no append bring a view of this name forward any more; False if none did.

        It stands where the last one left it; or, where those that follow the log are in another place, is gone here.
        """
        ...

    async def in_step(self) -> Sequence[Registered]:
        """The views that every append brings forward."""
        ...

    # Leases

    async def beat(self, worker: Worker) -> Sequence[Worker]:
        """Makes the worker known, or has its beat grow, and gives all workers, itself included, with their beats."""
        ...

    async def workers(self) -> Sequence[Worker]:
        """All workers that are known, for those who only look."""
        ...

    async def expel(self, worker: str, beat: int) -> bool:
        """Forgets a worker if it has not beaten since, and frees its segments, each with the next epoch."""
        ...

    async def leave(self, worker: str) -> None:
        """Forgets a worker that ends, and frees its segments, each with the next epoch."""
        ...

    async def take(self, shape: ViewShape[Any], at: Checkpoint, worker: str) -> Checkpoint:
        """Gives a free segment to a known worker, with the next epoch. Raises Superseded if it is not free any more."""
        ...

    async def release(self, shape: ViewShape[Any], at: Checkpoint) -> None:
        """Frees a segment, with the next epoch, if it is still at the epoch of `at`."""
        ...

    # Writing

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        """The rows that exist of these keys in the generation of `at`, in one call. Raises Superseded if it is gone."""
        ...

    async def commit(
        self,
        shape: ViewShape[V],
        changes: Changes[V],
        at: Checkpoint,
        upto: Anchor,
        letters: Sequence[Letter] = (),
    ) -> Checkpoint:
        """Writes the changed rows (None deletes), parks the letters and moves the checkpoint, in one transaction.

        It forgets the failure. Raises Superseded if the segment is not at the position and epoch of `at` any more or
        the view is paused, ValueError for a row that the store cannot hold. TableChanges are done in that transaction,
        by nobody else at the same time; they raise HandlerFailed for what cannot be done, whenever it is tried.
        """
        ...

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        """Keeps why the segment does not go on; the next commit forgets it. Raises Superseded if it is not at `at`."""
        ...

    # Dead letters

    async def withheld(self, shape: ViewShape[Any], at: Checkpoint) -> Withheld:
        """What is held back in the segment of `at`, and which events are to be passed over in the view."""
        ...

    async def letters(
        self, shape: ViewShape[Any], generation: int, hold: Hold | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, Letter]]:
        """Letters of a hold, or of all, in order of their positions, each with its segment; those after a position.

        There are more than `limit` where the last event is parked for several holds: an event's letters come together.
        """
        ...

    async def held_back(self, shape: ViewShape[Any], generation: int, limit: int = 1000) -> Sequence[Held]:
        """What is held back, those first whose first letters are the oldest. An event counts once for a hold."""
        ...

    async def settle(  # noqa: PLR0913, PLR0917 - what becomes of a hold, in one transaction
        self,
        shape: ViewShape[V],
        at: Checkpoint,
        hold: Hold,
        upto: int,
        changes: Changes[V],
        left: Letter | None = None,
        skip: Skip | None = None,
    ) -> None:
        """Ends the letters of a hold up to a position: writes the rows, and forgets the letters, in one transaction.

        `left` is the letter at `upto` that could not be applied either, and stays as it is given. `skip` is remembered.
        The segment gets the next epoch, and is held back no longer if no letter of the hold is left. Raises Superseded
        if it is not at the epoch of `at`, or, for a stream, not at its position either: nothing keeps the projector
        from the rows. Raises ValueError for a row that the store cannot hold.
        """
        ...

    async def skips(self, shape: ViewShape[Any]) -> Sequence[Skip]:
        """What operators have had passed over, in order of positions."""
        ...

    # Operators, and those who wait

    async def pause(self, shape: ViewShape[Any], pause: Pause) -> Pause | None:
        """Refuses every commit to the view from now on. Gives the pause that there was already, which stays."""
        ...

    async def resume(self, shape: ViewShape[Any]) -> Pause | None:
        """Takes commits to the view again. Gives the pause that there was, None if there was none."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """A snapshot to read under."""
        ...

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        """Waits until the live generation may have reached the position, or cannot, or the time is over; says which.

        It may wake early: whoever needs to know looks at the generation again.
        """
        ...
