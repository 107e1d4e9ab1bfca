"""`diptych projection divide`: a view's segments are split or merged, while its workers are at work."""

import asyncio
import sys
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store
from diptych.cli.projection.names import fold_named, of_rows
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, Stop
from diptych.read import Division, Fold, Stopped
from diptych.stores import Store
from diptych.worker import new_identity

MOST_SEGMENTS = 256


class Divided(msgspec.Struct, frozen=True):
    """Into how many segments a view is divided now, and where they stand."""

    view: str
    generation: int
    segments: int
    position: int


def divide(
    name: str,
    /,
    *,
    segments: Annotated[int, Parameter(metavar="N", validator=Number(gte=1, lte=MOST_SEGMENTS))],
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Divide a view into another number of segments, for as many workers to share.

    Nothing is lost or filled again; its workers wait for a moment:

        diptych projection divide OrderSummary --segments 4 --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    segments:
        Their number from now on.
    """
    fold = of_rows(fold_named(context_at(target), name), "its SQL may touch any row, so it has one segment")
    divided = asyncio.run(divided_into(fold, existing_store(store), segments))
    segment = "segment" if divided.segments == 1 else "segments"
    words = f"{name} has {divided.segments} {segment} now, at event {divided.position:,}."
    sys.stdout.write((msgspec.json.encode(divided).decode() if json else words) + "\n")
    return DONE


async def divided_into(fold: Fold[Any], store: Store, segments: int) -> Divided:
    """Divides. Raises Stop."""
    async with store.log() as log, store.views(in_step=fold.shape.sync) as views:
        try:
            generation = await Division(new_identity(), fold, log, views).run(segments)
        except Stopped as stopped:
            raise Stop(str(stopped), NO) from None
        return Divided(fold.shape.name, generation.number, len(generation.checkpoints), generation.position)
