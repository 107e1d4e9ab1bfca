"""Views that are kept in step with the log: what an append's own transaction does for them. Pure; a store has the I/O.

Each is brought from its checkpoint to the log's new end, before the append is kept. Nothing is parked there: what a
view cannot take is not appended.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from diptych.errors import ProjectionFailed, Unavailable
from diptych.log import RecordedEvent, StoredEvent
from diptych.read.checkpoint import Checkpoint
from diptych.read.fold import Fold, Step
from diptych.read.letters import Letter, Withheld
from diptych.read.parking import Parking
from diptych.read.shape import Key

MOST_BEHIND = 5000
"""Events that an append brings a view forward at most; one that is farther behind has to be projected first."""

Events = Sequence[StoredEvent | RecordedEvent]


class Registered(NamedTuple):
    """A view that is kept in step, by code of this fingerprint."""

    view: str
    fingerprint: str


class InStep:
    """The folds that this process can keep in step, which may be more than those that are."""

    def __init__(self, folds: Iterable[Fold[Any]]) -> None:
        self._folds = {Registered(fold.shape.name, fold.shape.fingerprint): fold for fold in folds}

    @property
    def known(self) -> Sequence[Registered]:
        """The views that this process can keep in step."""
        return list(self._folds)

    def fold(self, registered: Registered) -> Fold[Any]:
        """The fold of a view that is kept in step. Raises Unavailable: nobody may append past a view it cannot fold."""
        fold = self._folds.get(registered)
        if fold is None:
            raise Unavailable(
                f"View {registered.view} is kept in step with the log by code that this process does not have, in this "
                "version, so it may not append. Run the version that keeps it, or open the context that declares it."
            )
        return fold


NOBODY = InStep(())
"""For a log that no context has opened: it appends only where no view is kept in step."""


class Following:
    """One view's way from a checkpoint to the log's end, in three parts: which rows, what becomes of them, how far."""

    def __init__(self, fold: Fold[Any], at: Checkpoint, events: Events, withheld: Withheld) -> None:
        """Raises Unavailable, ProjectionFailed."""
        if len(events) > MOST_BEHIND:
            raise Unavailable(
                f"View {fold.shape.name} is to be kept in step with the log, and is more than {MOST_BEHIND:,} events "
                "behind. It is being projected; try again in a moment."
            )
        self._fold = fold
        self._parking = Parking(withheld, "")
        self.steps: list[Step] = []
        rest = list(events)
        while rest:
            steps, planned = fold.plan(rest, self._parking, at.segment, at.segments)
            self.steps += steps
            rest = rest[planned:]
        self._refuse()

    @property
    def keys(self) -> set[Key]:
        """The rows that it touches."""
        return {key for _, _, _, key in self.steps}

    def changes(self, rows: Mapping[Key, Any]) -> dict[Key, Any]:
        """What becomes of them. Raises ProjectionFailed."""
        changes = self._fold.apply(self.steps, rows, self._parking, careful=True)
        self._refuse()
        return changes

    def _refuse(self) -> None:
        if self._parking.letters:
            raise failed(self._fold, self._parking.letters[0])


def failed(fold: Fold[Any], letter: Letter) -> ProjectionFailed:
    """The refusal of an append whose event a view cannot take."""
    reason = f"a dead letter holds back its {letter.hold}" if letter.cause is None else letter.cause.error
    return ProjectionFailed(fold.shape.name, f"{letter.type} at position {letter.position}", reason)
