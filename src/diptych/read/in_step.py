"""Views that are kept in step with the log: what an append's own transaction does for them. Pure; a store has the I/O.

Each is brought from its checkpoint to the log's new end, before the append is kept. Nothing is parked there: what a
view cannot take is not appended. A generation that is filled to replace the live one is brought along as soon as it is
near, so that it can do so however many append; what that one cannot take hinders nobody, and is left to its workers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from diptych.errors import ProjectionFailed, Unavailable
from diptych.log import RecordedEvent, StoredEvent
from diptych.read.checkpoint import Checkpoint
from diptych.read.fold import Fold, Step
from diptych.read.letters import Withheld
from diptych.read.parking import Parking
from diptych.read.shape import Key

MOST_BEHIND = 1000
"""Events that an append applies to a view at most, beside its own: one that is farther behind is left to workers."""

Events = Sequence[StoredEvent | RecordedEvent]


class Registered(NamedTuple):
    """A view that is kept in step, by code of this fingerprint."""

    view: str
    fingerprint: str


class InStep:
    """The folds that this process can keep in step, which may be more than those that are."""

    def __init__(self, folds: Iterable[Fold[Any]]) -> None:
        self._folds = {Registered(fold.shape.name, fold.shape.fingerprint): fold for fold in folds}

    def fold(self, registered: Registered) -> Fold[Any]:
        """The fold of a view that is kept in step. Raises Unavailable: nobody may append past a view it cannot fold."""
        fold = self._folds.get(registered)
        if fold is None:
            raise Unavailable(
                f"View {registered.view} is kept in step with the log by code that this process does not have, or not "
                "in this version, so it may not append. Run the version that keeps it. If none does any more: "
                f"diptych projection part {registered.view}"
            )
        return fold


NOBODY = InStep(())
"""For a log that no context has opened: it appends only where no view is kept in step."""


def within_reach(generation: Iterable[Checkpoint], began: int) -> bool:
    """Whether an append after this position brings a generation forward. It does so in all segments, or in none."""
    return all(began - at.position <= MOST_BEHIND for at in generation)


class Following:
    """One segment's way from its checkpoint to the log's end: which rows it touches, and what becomes of them."""

    def __init__(self, fold: Fold[Any], at: Checkpoint, events: Events, withheld: Withheld) -> None:
        """Raises ProjectionFailed."""
        self._fold = fold
        self._withheld = withheld
        self._steps: list[Step] = []
        parking = Parking(withheld, "")
        planned = 0
        while planned < len(events):
            steps, more = fold.plan(events[planned:], parking, at.segment, at.segments)
            self._steps += fold.possible(steps, parking)
            planned += more
        self._refuse(parking)

    @property
    def keys(self) -> set[Key]:
        """The rows that it touches."""
        return {key for _, _, _, key in self._steps}

    def changes(self, rows: Mapping[Key, Any], *, careful: bool = False) -> dict[Key, Any]:
        """What becomes of them. Raises ProjectionFailed, and ValueError where a handler gave a row of another key.

        If `careful`, that and a row that no store could hold are a ProjectionFailed as well.
        """
        parking = Parking(self._withheld, "")
        changes = self._fold.apply(self._steps, rows, parking, careful=careful)
        self._refuse(parking)
        return changes

    def refusal(self, rows: Mapping[Key, Any], error: ValueError) -> ProjectionFailed:
        """Why the store does not take the changes, told of the event whose row it is, if that can be known."""
        try:
            self.changes(rows, careful=True)
        except ProjectionFailed as failed:
            return failed
        position, rule, _, _ = self._steps[-1]
        return ProjectionFailed(self._fold.shape.name, f"{rule.name} at position {position}", str(error))

    def _refuse(self, parking: Parking) -> None:
        if not parking.letters:
            return
        letter = min(parking.letters, key=lambda letter: letter.position)
        reason = f"a dead letter holds back its {letter.hold}" if letter.cause is None else letter.cause.error
        raise ProjectionFailed(self._fold.shape.name, f"{letter.type} at position {letter.position}", reason)
