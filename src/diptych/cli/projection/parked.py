"""A view's dead letters at hand, for the commands that show and settle them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from diptych.cli.words import NO, Stop
from diptych.log import EventLog
from diptych.read import AnyFold, Generation, Held, NeverFilled, Repair, ViewStore
from diptych.stores import Store

ALL = 1_000_000
"""More than a view holds back before it pauses itself."""


class Parked(NamedTuple):
    """The views' store, and the generation whose letters are meant."""

    fold: AnyFold
    log: EventLog
    views: ViewStore
    generation: Generation

    @property
    def view(self) -> str:
        return self.fold.shape.name

    @property
    def repair(self) -> Repair:
        return Repair(self.fold, self.log, self.views, self.generation.number)

    async def held(self, limit: int = ALL) -> Sequence[Held]:
        """What is held back, those first that have been for the longest."""
        return await self.views.held_back(self.fold.shape, self.generation.number, limit)


@asynccontextmanager
async def parked_in(store: Store, fold: AnyFold, number: int | None = None) -> AsyncGenerator[Parked]:
    """The letters of the generation that answers, or of another one's number. Raises Stop where there is none."""
    async with store.log() as log, store.views(in_step=fold.shape.sync) as views:
        yield Parked(fold, log, views, await _generation(fold, views, number))


async def _generation(fold: AnyFold, views: ViewStore, number: int | None) -> Generation:
    shape = fold.shape
    if number is None:
        async with views.snapshot() as snapshot:
            try:
                return await snapshot.generation(shape)
            except NeverFilled:
                raise Stop(f"{shape.name} was never filled; nothing of it is held back", NO) from None
    found = {one.number: one for one in await views.generations(shape)}
    if number not in found:
        raise Stop(f"{shape.name} has no generation {number}; see: diptych projection status {shape.name}", NO)
    return found[number]
