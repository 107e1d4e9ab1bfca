"""Keeping views in memory in step with a log in memory: all of them follow what is to be kept, or nothing is."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from diptych.log import Anchor, RecordedEvent
from diptych.read import Fold, Following, Hold, InStep, Registered, ViewShape, Withheld
from diptych.stores.memory.held import HeldGeneration, HeldViews, live_of, moved


def followed(
    folds: InStep, views: HeldViews, before: Sequence[RecordedEvent], new: Sequence[RecordedEvent]
) -> list[tuple[ViewShape[Any], HeldGeneration]]:
    """What is kept in step, past the new events. Raises ProjectionFailed, Unavailable.

    Whoever calls it has the lock of the views, and keeps what it gives.
    """
    registered = [folds.fold(Registered(*view)) for view in views.in_step.items()]
    return [
        (fold.shape, _followed(fold, live, frozenset(views.skips.get(fold.shape.name, ())), [*before, *new]))
        for fold in registered
        if fold.shape.name not in views.pauses  # whoever has paused it wants it to be left behind
        and (live := live_of(views.of(fold.shape), fold.shape)) is not None
    ]


def _followed(
    fold: Fold[Any], held: HeldGeneration, skips: AbstractSet[tuple[Hold, int]], events: Sequence[RecordedEvent]
) -> HeldGeneration:
    end = Anchor(events[-1].position, events[-1].event_id)
    for at in held.about.checkpoints:
        following = Following(fold, at, events[at.position :], Withheld(held.holds(at.segment), skips))
        rows = {key: held.rows[key] for key in following.keys if key in held.rows}
        held = moved(held.write(following.changes(rows)), at._replace(anchor=end, failure=None))
    return held
