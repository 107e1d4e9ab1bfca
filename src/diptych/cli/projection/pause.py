"""`diptych projection pause`: a view stays as it is, whoever projects it."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store
from diptych.cli.projection.names import fold_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE
from diptych.read import ViewShape
from diptych.stores import Store


class Paused(msgspec.Struct, frozen=True):
    """Since when a view is paused, and whether it was so before."""

    view: str
    paused_since: str
    was_paused: bool


def pause(name: str, /, *, target: Target = None, store: StoreUrl = None, json: Json = False) -> int:
    """Stop a view's projection where it is, in every process, until it is resumed.

    No event is applied from the moment that this ends; restarts change nothing about it:

        diptych projection pause OrderSummary --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    """
    shape = fold_named(context_at(target), name).shape
    now = datetime.now(UTC).isoformat(timespec="seconds")
    before = asyncio.run(pause_in(existing_store(store), shape, now))
    paused = Paused(name, before or now, was_paused=before is not None)
    sys.stdout.write((msgspec.json.encode(paused).decode() if json else in_words(paused)) + "\n")
    return DONE


async def pause_in(store: Store, shape: ViewShape[Any], since: str) -> str | None:
    async with store.log(), store.views() as views:  # the log, to see that it is one
        return await views.pause(shape, since)


def in_words(paused: Paused) -> str:
    if paused.was_paused:
        return f"{paused.view} is paused already, since {paused.paused_since}."
    return f"{paused.view} is paused. Go on with: diptych projection resume {paused.view}"
