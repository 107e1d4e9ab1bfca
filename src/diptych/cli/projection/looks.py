"""Looks at the views of a store: what stands there at a moment. Nothing is projected by looking."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from time import monotonic
from typing import Any, NamedTuple

from diptych import App, BoundedContext
from diptych.read import Generation, Held, Standing, ViewShape, ViewStore
from diptych.stores import Store
from diptych.worker import gone

BETWEEN = timedelta(milliseconds=1200)
"""Time between two looks: a worker that lives has beaten twice meanwhile."""


class Look(NamedTuple):
    """What there was: standings, and by the views' names their generations and what has been held back the longest.

    `beats` has the workers' beats by their ids. `sync` has the views that are to be kept in step with the log, and
    `in_step` the fingerprints of the code that does so. `clock` counts seconds.
    """

    standings: Sequence[Standing]
    generations: Mapping[str, Sequence[Generation]]
    held: Mapping[str, Held]
    beats: Mapping[str, int]
    sync: AbstractSet[str]
    in_step: Mapping[str, str]
    head: int
    clock: float


class Looks(NamedTuple):
    """Two looks, or where no worker lives the same one twice."""

    first: Look
    last: Look

    def silent(self, worker: str) -> bool:
        """Whether a worker has ended, or has given no sign of life between the looks."""
        beat = self.last.beats.get(worker)
        return beat is None or gone(worker) or (self.measured and self.first.beats.get(worker) == beat)

    @property
    def measured(self) -> bool:
        """Whether time has passed between the looks."""
        return self.last.clock > self.first.clock

    def rate(self, view: str, number: int) -> float | None:
        """Events a second that a generation has moved on by between the looks; None where that was not measured."""
        if not self.measured:
            return None
        before, after = (position_of(look, view, number) for look in self)
        return None if before is None or after is None else (after - before) / (self.last.clock - self.first.clock)


async def look_twice(context: BoundedContext, store: Store, url: str) -> Looks:
    """Looks once, and where workers are at work, once more in a while. Raises Unavailable."""
    async with (
        context.open(url, projectors=False) as app,
        store.views() as following,
        store.views(in_step=True) as in_step,
    ):
        views = Places(following, in_step)
        first = await look(context, app, views)
        if all(gone(worker) for worker in first.beats):
            return Looks(first, first)
        await asyncio.sleep(BETWEEN.total_seconds())
        return Looks(first, await look(context, app, views))


class Places(NamedTuple):
    """Where views are that follow the log, and those that are kept in step with it."""

    following: ViewStore
    in_step: ViewStore

    def of(self, shape: ViewShape[Any]) -> ViewStore:
        """Where a view is."""
        return self.in_step if shape.sync else self.following


async def look(context: BoundedContext, app: App, views: Places) -> Look:
    standings = await app.standings()
    shapes = {fold.shape.name: fold.shape for fold in context.folds}
    generations = {name: await views.of(shape).generations(shape) for name, shape in shapes.items()}
    held: dict[str, Held] = {}
    for standing in standings:
        if standing.parked:
            for first in await views.of(shapes[standing.view]).held_back(
                shapes[standing.view], standing.number, limit=1
            ):
                held[standing.view] = first
    beats = {worker.id: worker.beat for place in views for worker in await place.workers()}
    sync = {name for name, shape in shapes.items() if shape.sync}
    in_step = {registered.view: registered.fingerprint for registered in await views.in_step.in_step()}
    return Look(standings, generations, held, beats, sync, in_step, (await app.log.head()).position, monotonic())


def position_of(look: Look, view: str, number: int) -> int | None:
    return next((one.position for one in look.generations[view] if one.number == number), None)
