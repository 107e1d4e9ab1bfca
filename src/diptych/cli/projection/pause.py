"""`diptych projection pause`: a view stays as it is, whoever projects it."""

import asyncio
import sys
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.output import printable
from diptych.cli.places import existing_store
from diptych.cli.projection.names import fold_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE
from diptych.read import Pause, ViewShape, utc_now
from diptych.stores import Store


class Paused(msgspec.Struct, frozen=True):
    """Since when a view is paused, why, and whether it was so before."""

    view: str
    paused_since: str
    because: str
    was_paused: bool


def pause(
    name: str,
    /,
    *,
    because: Annotated[str, Parameter(metavar="TEXT")] = "an operator has paused it",
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Stop a view's projection where it is, in every process, until it is resumed.

    No event is applied from the moment that this ends; restarts change nothing about it:

        diptych projection pause OrderSummary --because "moving the disk" --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    because:
        Why, for whoever looks at the view's status.
    """
    shape = fold_named(context_at(target), name).shape
    asked = Pause(utc_now(), because)
    before = asyncio.run(pause_in(existing_store(store), shape, asked))
    holds = before or asked
    paused = Paused(name, holds.since, holds.reason, was_paused=before is not None)
    sys.stdout.write((msgspec.json.encode(paused).decode() if json else in_words(paused)) + "\n")
    return DONE


async def pause_in(store: Store, shape: ViewShape[Any], pause: Pause) -> Pause | None:
    async with store.log(), store.views(in_step=shape.sync) as views:  # the log, to see that it is one
        return await views.pause(shape, pause)


def in_words(paused: Paused) -> str:
    if paused.was_paused:
        return f"{paused.view} is paused already, since {paused.paused_since}: {printable(paused.because)}."
    return f"{paused.view} is paused. Go on with: diptych projection resume {paused.view}"
