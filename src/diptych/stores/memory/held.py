"""What views in memory are made of: values that are never changed, only replaced. No locks and no waiting here."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from diptych.log import BEGINNING, Anchor, Bell
from diptych.read import (
    Checkpoint,
    Generation,
    Held,
    Hold,
    Key,
    Letter,
    Pause,
    Skip,
    State,
    ViewShape,
    Worker,
    segment_of,
)


class HeldGeneration(NamedTuple):
    """One generation of a view: its rows, and its letters with their segments."""

    about: Generation
    rows: Mapping[Key, Any]
    letters: Sequence[tuple[int, Letter]] = ()

    def segment(self, at: Checkpoint) -> Checkpoint | None:
        """The checkpoint of a segment, if it is still at the epoch."""
        found = self.about.checkpoints[at.segment] if at.segment < len(self.about.checkpoints) else None
        return found if found is not None and found.epoch == at.epoch else None

    def holds(self, segment: int) -> AbstractSet[Hold]:
        """What is held back in a segment."""
        return frozenset([letter.hold for number, letter in self.letters if number == segment])

    def parked(self, segment: int) -> int:
        """How much is held back in a segment."""
        return len(self.holds(segment))

    def held_back(self) -> Sequence[Held]:
        """What is held back in all segments, the oldest first."""
        found: dict[Hold, dict[int, Letter]] = {}
        for _, letter in self.letters:
            found.setdefault(letter.hold, {})[letter.position] = letter
        held = [Held(hold, len(letters), letters[min(letters)]) for hold, letters in found.items()]
        return sorted(held, key=lambda one: (one.first.position, one.hold))

    def park(self, segment: int, letters: Iterable[Letter]) -> "HeldGeneration":
        """With more letters."""
        return self._replace(letters=[*self.letters, *[(segment, letter) for letter in letters]])

    def forget(self, segment: int, hold: Hold, upto: int) -> "HeldGeneration":
        """Without the letters of a hold up to a position."""
        kept = [
            (number, letter)
            for number, letter in self.letters
            if (number, letter.hold) != (segment, hold) or letter.position > upto
        ]
        return self._replace(letters=kept)

    def write(self, changes: Mapping[Key, Any]) -> "HeldGeneration":
        """With changed rows."""
        if not changes:
            return self
        changed = {key: row for key, row in changes.items() if row is not None}
        return self._replace(rows={key: row for key, row in self.rows.items() if key not in changes} | changed)


class HeldViews:
    """What a store of views in memory holds. Whoever reads or changes it has its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.views: dict[str, Mapping[int, HeldGeneration]] = {}
        self.pauses: dict[str, Pause] = {}
        self.skips: dict[str, dict[tuple[Hold, int], Skip]] = {}
        self.workers: dict[str, Worker] = {}
        self.bells: dict[str, Bell] = {}
        self.in_step: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def of(self, shape: ViewShape[Any]) -> list[HeldGeneration]:
        """The generations of a view, in order of their numbers."""
        return list(self.views.get(shape.name, {}).values())

    def find(self, shape: ViewShape[Any], number: int) -> HeldGeneration | None:
        """The generation of a number."""
        return self.views.get(shape.name, {}).get(number)

    def keep(self, shape: ViewShape[Any], held: HeldGeneration) -> None:
        """A generation as it is from now on."""
        self.views[shape.name] = {**self.views.get(shape.name, {}), held.about.number: held}

    def remove(self, shape: ViewShape[Any], number: int) -> None:
        """A generation is gone."""
        self.views[shape.name] = {other: held for other, held in self.views[shape.name].items() if other != number}

    def next_number(self, shape: ViewShape[Any]) -> int:
        """A number that no generation of the view ever had."""
        self._numbers[shape.name] = self._numbers.get(shape.name, 0) + 1
        return self._numbers[shape.name]

    def go_live(
        self, shape: ViewShape[Any], ready: HeldGeneration, before: HeldGeneration | None, *, keep: bool
    ) -> None:
        """A generation answers in the place of another, which is kept or gone."""
        if before is not None and keep:
            self.keep(shape, before._replace(about=before.about._replace(state=State.KEPT)))
        elif before is not None:
            self.remove(shape, before.about.number)
        self.keep(shape, ready._replace(about=ready.about._replace(state=State.LIVE)))

    def expel(self, worker: str) -> None:
        """Forgets a worker, and frees its segments."""
        self.workers.pop(worker, None)
        for name, view in self.views.items():
            self.views[name] = {number: _freed(held, worker) for number, held in view.items()}

    def bell(self, shape: ViewShape[Any]) -> Bell:
        """The bell of a view, rung for its live generation."""
        return self.bells.setdefault(shape.name, Bell())


def empty(shape: ViewShape[Any], log_id: str, number: int, segments: int) -> HeldGeneration:
    """A generation that nothing is applied to yet."""
    checkpoints = [Checkpoint(log_id, number, segment, segments, 1, BEGINNING) for segment in range(segments)]
    return HeldGeneration(Generation(number, shape.fingerprint, log_id, State.FILLING, checkpoints), {})


def moved(held: HeldGeneration, checkpoint: Checkpoint) -> HeldGeneration:
    """With one checkpoint as it is now."""
    checkpoints = [checkpoint if one.segment == checkpoint.segment else one for one in held.about.checkpoints]
    return held._replace(about=held.about._replace(checkpoints=checkpoints))


def resegmented(held: HeldGeneration, segments: int) -> HeldGeneration:
    """Divided into so many segments, which are all where the ones before were; the letters go along."""
    about = held.about
    epoch = max([one.epoch for one in about.checkpoints]) + 1
    divided = held._replace(letters=_divided(held.letters, segments))
    anchor = about.checkpoints[0].anchor
    failure = about.failure if about.astray else None
    checkpoints = [
        Checkpoint(about.log_id, about.number, number, segments, epoch, anchor, None, divided.parked(number), failure)
        for number in range(segments)
    ]
    return divided._replace(about=about._replace(checkpoints=checkpoints))


def copied_onto(held: HeldGeneration, live: HeldGeneration, onto: Anchor) -> HeldGeneration:
    """With the rows of the live one, and what it has parked up to an event; all segments stand there."""
    at = held.about.checkpoints
    letters = [
        (number, letter) for number, letter in _divided(live.letters, len(at)) if letter.position <= onto.position
    ]
    copied = held._replace(rows=live.rows, letters=letters)
    checkpoints = [one._replace(anchor=onto, parked=copied.parked(one.segment)) for one in at]
    return copied._replace(about=copied.about._replace(checkpoints=checkpoints))


def live_of(found: Iterable[HeldGeneration], shape: ViewShape[Any]) -> HeldGeneration | None:
    """The generation that answers the queries of this shape's code."""
    return next((one for one in found if one.about.live and one.about.fingerprint == shape.fingerprint), None)


def unfinished(found: Iterable[HeldGeneration], shape: ViewShape[Any]) -> HeldGeneration | None:
    """The generation of this shape's code that is being filled."""
    return next(
        (one for one in found if one.about.state is State.FILLING and one.about.fingerprint == shape.fingerprint), None
    )


def answering(found: Iterable[HeldGeneration], shape: ViewShape[Any]) -> HeldGeneration | None:
    """The one that answers, or the one that will."""
    found = list(found)
    return live_of(found, shape) or unfinished(found, shape)


def _divided(letters: Iterable[tuple[int, Letter]], segments: int) -> list[tuple[int, Letter]]:
    """Letters with their segments, where there are so many: what holds back a stream does so in each."""
    divided = {
        (number, letter.hold, letter.position): (number, letter)
        for _, letter in letters
        for number in ([segment_of(letter.hold.key, segments)] if letter.hold.key else range(segments))
    }
    return list(divided.values())


def _freed(held: HeldGeneration, worker: str) -> HeldGeneration:
    checkpoints = [
        one._replace(owner=None, epoch=one.epoch + 1) if one.owner == worker else one for one in held.about.checkpoints
    ]
    return held._replace(about=held.about._replace(checkpoints=checkpoints))
