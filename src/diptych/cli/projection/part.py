"""`diptych projection part`: a view that no code keeps in step with the log any more hinders nobody."""

import asyncio
import sys

import msgspec

from diptych.cli.options import Json, StoreUrl
from diptych.cli.places import existing_store
from diptych.cli.projection.looks import BETWEEN
from diptych.cli.words import DONE, NO, Stop
from diptych.read import ViewStore, is_run
from diptych.stores import Store
from diptych.worker import gone


class Parted(msgspec.Struct, frozen=True):
    """A view, and whether it was kept in step with the log until now."""

    view: str
    was_in_step: bool


def part(name: str, /, *, store: StoreUrl = None, json: Json = False) -> int:
    """Let go of a view that was kept in step with the log, by code that is not run any more.

    Whoever does not have that code may append again:

        diptych projection part OrderSummary --store sqlite:///shop.db

    A projection that is declared async from now on needs none of this: its workers do it.

    Parameters
    ----------
    name:
        The view, which the code need not have any more.
    """
    was_in_step, others = asyncio.run(part_in(existing_store(store), name))
    parted = Parted(name, was_in_step)
    if was_in_step:
        words = f"{name} is not kept in step with the log any more."
    else:
        words = f"{name} is not in step; {', '.join(others) or 'no view'} is."
    sys.stdout.write((msgspec.json.encode(parted).decode() if json else words) + "\n")
    return DONE


async def part_in(store: Store, name: str) -> tuple[bool, list[str]]:
    """Whether it was in step, and which others are. Raises Stop where a worker would have it kept so again."""
    async with store.log(), store.views(in_step=True) as views:  # the log, to see that it is one
        kept = {registered.view: registered.fingerprint for registered in await views.in_step()}
        if name in kept and await is_wanted(views, kept[name]):
            raise Stop(f"a worker keeps {name} in step with the log; stop it first, or declare the view async", NO)
        return await views.part(name), sorted({*kept} - {name})


async def is_wanted(views: ViewStore, fingerprint: str) -> bool:
    """Whether a worker of this code lives: it beats between two looks."""
    first = await views.workers()
    if not is_run(fingerprint, [worker for worker in first if not gone(worker.id)]):
        return False
    await asyncio.sleep(BETWEEN.total_seconds())
    return is_run(fingerprint, [worker for worker in await views.workers() if worker not in first])
