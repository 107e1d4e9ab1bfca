"""Where a view stands: its generations, the segments of each, and the checkpoint of every segment."""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Literal, NamedTuple

import msgspec

from diptych.errors import Unavailable
from diptych.log import Anchor
from diptych.read.shape import ViewShape


class Failure(msgspec.Struct, frozen=True):
    """What keeps a segment from going on: where, why, and since when (UTC).

    The category is `log` where the log does not hold what the view has applied, `store` where a store fails, and
    `event` where an event can be neither applied nor parked.
    """

    category: Literal["log", "store", "event"]
    position: int
    reason: str
    since: str


class Pause(msgspec.Struct, frozen=True):
    """Since when a view is paused (UTC), and why: an operator's words, or the projection's own."""

    since: str
    reason: str


class Checkpoint(NamedTuple):
    """Up to where a segment of a generation has applied or parked every event.

    `epoch` grows with every change of owner, and with every change of what is parked by others than the owner: whoever
    holds a checkpoint of an older one cannot write. `parked` counts the keys that are held back here. `owner` is the
    worker that has the lease.
    """

    log_id: str
    generation: int
    segment: int
    segments: int
    epoch: int
    anchor: Anchor
    owner: str | None = None
    parked: int = 0
    failure: Failure | None = None

    @property
    def position(self) -> int:
        """The log position up to which everything is applied or parked."""
        return self.anchor.position

    @property
    def astray(self) -> bool:
        """Whether the log does not hold what was applied here."""
        return self.failure is not None and self.failure.category == "log"


class State(Enum):
    """What a generation is for: it is filled, it answers, or it did and is kept."""

    FILLING = "filling"
    LIVE = "live"
    KEPT = "kept"


class Generation(NamedTuple):
    """One filling of a view, by code of one fingerprint, from one log. `checkpoints` are in order of the segments."""

    number: int
    fingerprint: str
    log_id: str
    state: State
    checkpoints: Sequence[Checkpoint]
    pause: Pause | None = None

    @property
    def live(self) -> bool:
        """Whether it answers the queries of its code."""
        return self.state is State.LIVE

    @property
    def position(self) -> int:
        """The log position up to which every segment has applied or parked everything."""
        return min([checkpoint.position for checkpoint in self.checkpoints])

    @property
    def parked(self) -> int:
        """How many keys are held back."""
        return sum([checkpoint.parked for checkpoint in self.checkpoints])

    @property
    def free(self) -> int:
        """How many segments have no owner."""
        return sum(1 for checkpoint in self.checkpoints if checkpoint.owner is None)

    @property
    def failure(self) -> Failure | None:
        """The failure of a segment: of one that is astray, if there is one, else of the one that is farthest behind."""
        failed = [checkpoint for checkpoint in self.checkpoints if checkpoint.failure is not None]
        first = min(failed, key=lambda checkpoint: (not checkpoint.astray, checkpoint.position), default=None)
        return None if first is None else first.failure

    @property
    def astray(self) -> bool:
        """Whether it has applied what the log does not hold."""
        return any(checkpoint.astray for checkpoint in self.checkpoints)

    @property
    def hindrance(self) -> str | None:
        """What keeps it from going on until somebody acts, in words, if anything does."""
        words: list[str] = []
        if self.astray and (failed := self.failure) is not None:
            words.append(f"it stands still at event {failed.position} since {failed.since}: {failed.reason}")
        if self.pause is not None:
            words.append(f"it is paused since {self.pause.since}: {self.pause.reason}")
        return "; ".join(words) or None

    @property
    def delay(self) -> str:
        """What may hold it back when nothing hinders it, in words."""
        if (failed := self.failure) is not None:
            return f"it cannot go on at event {failed.position} since {failed.since}: {failed.reason}"
        if self.free:
            return "no worker projects it"
        if self.state is State.FILLING:
            return f"it is being filled, and is at event {self.position}"
        return "it is lagging; ask again, or allow more time"

    def stands(self, at: Sequence[Checkpoint]) -> bool:
        """Whether all segments have the epochs that they were seen at, and are at one position, wherever that is now.

        Whoever has them may be sure that they move together: only what keeps a view in step with the log moves them.
        """
        epochs = [one.epoch for one in self.checkpoints] == [one.epoch for one in at]
        return epochs and len({one.anchor for one in self.checkpoints}) == 1

    def fits(self, shape: ViewShape[Any], log_id: str) -> bool:
        """Whether it is of this shape, and filled from this log."""
        return self.fingerprint == shape.fingerprint and self.log_id == log_id

    def may_replace(self, live: "Generation | None") -> bool:
        """Whether no answer becomes older when this one answers in the place of the live one.

        What a live one holds of another log, or of events that the log has lost, is no answer to any token.
        """
        if live is None or live.log_id != self.log_id or live.astray:
            return True
        return self.position >= max([checkpoint.position for checkpoint in live.checkpoints])


def numbered(generations: Iterable[Generation], number: int) -> Generation | None:
    """The generation of this number, if it is there."""
    return next((generation for generation in generations if generation.number == number), None)


class Superseded(Exception):
    """A segment is not where its projector left it: others moved, took or replaced it, or the view is paused."""


class RowsGone(Unavailable):
    """The rows of a generation are not there: it was dropped while it was read, or its table was by somebody else."""


class UnreadableRow(Unavailable):
    """A row was damaged: what stands in its columns is not what the view's fields can hold."""

    def __init__(self, view: str, key: Any, reason: str) -> None:
        super().__init__(
            f"Row {key!r} of {view} cannot be read: {reason}. Have the view filled anew: "
            f"diptych projection rebuild {view}"
        )
        self.key = key


class NeverFilled(Unavailable):
    """No projector has run on the view in this store."""
