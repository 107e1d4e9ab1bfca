"""Keeping views in memory in step with a log in memory: all of them follow what is to be kept, or nothing is."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from diptych.errors import ProjectionFailed
from diptych.log import Anchor, RecordedEvent
from diptych.read import Fold, Following, InStep, Registered, ViewShape, Withheld
from diptych.read.in_step import within_reach
from diptych.stores.memory.held import HeldGeneration, HeldViews, live_of, moved, unfinished


class Moved(NamedTuple):
    """A generation that has followed."""

    shape: ViewShape[Any]
    held: HeldGeneration


def followed(
    folds: InStep, views: HeldViews, before: Sequence[RecordedEvent], new: Sequence[RecordedEvent]
) -> list[Moved]:
    """What is kept in step, past the new events. Raises ProjectionFailed, Unavailable.

    Whoever calls it has the lock of the views, and keeps what it gives.
    """
    found: list[Moved] = []
    for view in views.in_step.items():
        fold = folds.fold(Registered(*view))
        live, filling = live_of(views.of(fold.shape), fold.shape), unfinished(views.of(fold.shape), fold.shape)
        if fold.shape.name in views.pauses:  # whoever has paused it wants it to be left behind
            continue
        if live is not None and within_reach(live.about.checkpoints, len(before)):
            found.append(Moved(fold.shape, _followed(fold, live, views, [*before, *new])))
        if filling is not None and within_reach(filling.about.checkpoints, len(before)):
            with suppress(ProjectionFailed):
                found.append(Moved(fold.shape, _followed(fold, filling, views, [*before, *new])))
    return found


def _followed(
    fold: Fold[Any], held: HeldGeneration, views: HeldViews, events: Sequence[RecordedEvent]
) -> HeldGeneration:
    end = Anchor(events[-1].position, events[-1].event_id)
    skips = frozenset(views.skips.get(fold.shape.name, ()))
    for at in held.about.checkpoints:
        following = Following(fold, at, events[at.position :], Withheld(held.holds(at.segment), skips))
        rows = {key: held.rows[key] for key in following.keys if key in held.rows}
        changes = following.changes(rows, careful=True)
        held = moved(held.write(changes), at._replace(anchor=end, failure=None))
    return held
