"""`diptych projection resume`: a paused view is projected again."""

import asyncio
import sys
from typing import Any

import msgspec

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.output import printable
from diptych.cli.places import existing_store
from diptych.cli.projection.names import fold_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE
from diptych.read import Pause, ViewShape
from diptych.stores import Store


class Resumed(msgspec.Struct, frozen=True):
    """Since when a view was paused, and why; both null if it was not."""

    view: str
    paused_since: str | None
    because: str | None


def resume(name: str, /, *, target: Target = None, store: StoreUrl = None, json: Json = False) -> int:
    """Let a paused view's projection go on where it was.

    Running servers go on by themselves:

        diptych projection resume OrderSummary --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    """
    shape = fold_named(context_at(target), name).shape
    before = asyncio.run(resume_in(existing_store(store), shape))
    resumed = Resumed(name, before.since if before else None, before.reason if before else None)
    sys.stdout.write((msgspec.json.encode(resumed).decode() if json else in_words(resumed)) + "\n")
    return DONE


async def resume_in(store: Store, shape: ViewShape[Any]) -> Pause | None:
    async with store.log(), store.views(in_step=shape.sync) as views:  # the log, to see that it is one
        return await views.resume(shape)


def in_words(resumed: Resumed) -> str:
    if resumed.paused_since is None:
        return f"{resumed.view} is not paused."
    return f"{resumed.view} goes on; it was paused since {resumed.paused_since}: {printable(resumed.because or '')}."
