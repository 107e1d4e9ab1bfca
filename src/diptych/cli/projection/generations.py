"""`diptych projection cancel` and `drop`: generations of a view that are not wanted any more."""

import asyncio
import sys
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store
from diptych.cli.projection.names import fold_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, Stop
from diptych.read import Generation, State, Superseded, ViewShape, numbered
from diptych.stores import Store


class Dropped(msgspec.Struct, frozen=True):
    """A generation that is gone, and how far it was."""

    view: str
    generation: int
    position: int


def cancel(name: str, /, *, target: Target = None, store: StoreUrl = None, json: Json = False) -> int:
    """Give up a view's unfinished rebuild, and throw away what it has filled.

    A rebuild that runs elsewhere ends, and says so; the view answers as before:

        diptych projection cancel OrderSummary --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    """
    shape = fold_named(context_at(target), name).shape
    return said(asyncio.run(cancelled(existing_store(store), shape)), json=json)


def drop(
    name: str,
    /,
    *,
    generation: Annotated[int, Parameter(metavar="N")],
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Throw away a generation of a view that was kept, or that another version of the code has filled.

    After a rebuild with --keep that has proved itself:

        diptych projection drop OrderSummary --generation 3 --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    generation:
        Its number, as `projection status` shows it. The one that answers is not dropped.
    """
    shape = fold_named(context_at(target), name).shape
    return said(asyncio.run(dropped(existing_store(store), shape, generation)), json=json)


async def cancelled(store: Store, shape: ViewShape[Any]) -> Dropped:
    """Drops the generation that is being filled beside the live one. Raises Stop."""
    async with store.log(), store.views(in_step=shape.sync) as views:
        mine = [one for one in await views.generations(shape) if one.fingerprint == shape.fingerprint]
        unfinished = next((one for one in mine if one.state is State.FILLING), None)
        if unfinished is None or not any(one.live for one in mine):
            raise Stop(f"{shape.name} has no unfinished rebuild", NO)
        try:
            await views.drop(shape, unfinished.number)
        except Superseded:
            raise Stop(f"the rebuild of {shape.name} was done meanwhile: its generation answers", NO) from None
        return told(shape, unfinished)


async def dropped(store: Store, shape: ViewShape[Any], number: int) -> Dropped:
    """Drops a generation. Raises Stop."""
    async with store.log(), store.views(in_step=shape.sync) as views:
        found = numbered(await views.generations(shape), number)
        if found is None:
            raise Stop(f"{shape.name} has no generation {number}; see diptych projection status {shape.name}", NO)
        try:
            await views.drop(shape, number)
        except Superseded:
            raise Stop(f"generation {number} of {shape.name} answers its queries, and is not dropped", NO) from None
        return told(shape, found)


def told(shape: ViewShape[Any], generation: Generation) -> Dropped:
    return Dropped(shape.name, generation.number, generation.position)


def said(dropped: Dropped, *, json: bool) -> int:
    """Says what is gone."""
    words = f"Generation {dropped.generation} of {dropped.view} is gone; it was at event {dropped.position:,}."
    sys.stdout.write((msgspec.json.encode(dropped).decode() if json else words) + "\n")
    return DONE
