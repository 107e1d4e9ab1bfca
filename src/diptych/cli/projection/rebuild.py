"""`diptych projection rebuild`: a view is filled again beside the one in use, and replaces it when it has caught up."""

import asyncio
import shlex
import sys
from time import perf_counter
from typing import Annotated, Any

import msgspec

from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.places import existing_store
from diptych.cli.projection.names import fold_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE, INTERRUPTED, NO, Stop
from diptych.progress import Progress, progress_on, shown
from diptych.read import Fold, Rebuild, Stopped
from diptych.stores import Store

EVENTS = "Events"


class Rebuilt(msgspec.Struct, frozen=True):
    """The generation that is live now; `began_at` is more than 0 where an unfinished one was gone on with."""

    view: str
    epoch: int
    began_at: int
    position: int
    seconds: float


def rebuild(
    name: str,
    /,
    *,
    anew: Annotated[bool, Switch] = False,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Fill a view again from the log, beside the one in use, and switch to it when it has caught up.

    After a handler was mended, with or without a server at work on the store:

        diptych projection rebuild OrderSummary --target shop:shop --store sqlite:///shop.db

    The view answers and goes on being projected meanwhile. A rebuild that was stopped or killed goes on where it was.

    Parameters
    ----------
    name:
        The view.
    anew:
        Throw away what an unfinished rebuild has filled: right after a change of its handlers.
    """
    fold = fold_named(context_at(target), name)
    place = existing_store(store)
    again = shlex.join(["diptych", "projection", "rebuild", name, *given("--target", target), *given("--store", store)])
    with progress_on(sys.stderr) as progress:
        rebuilt = asyncio.run(run(fold, place, progress, again, anew=anew))
    sys.stdout.write((msgspec.json.encode(rebuilt).decode() if json else in_words(rebuilt)) + "\n")
    return DONE


def given(option: str, value: str | None) -> list[str]:
    return [] if value is None else [option, value]


async def run(fold: Fold[Any], store: Store, progress: Progress, again: str, *, anew: bool) -> Rebuilt:
    """Fills and switches. Raises Stop where that cannot go on, or is interrupted."""
    view = fold.shape.name
    async with store.log() as log, store.views() as views:
        rebuild = Rebuild(fold, log, views)
        began = perf_counter()
        try:
            checkpoint = await rebuild.begin(anew=anew)
            progress.note(beginning(view, checkpoint.epoch, rebuild.began_at))
            async with shown(progress, EVENTS, lambda: rebuild.position, lambda: rebuild.head):
                live = await rebuild.run(checkpoint)
        except Stopped as stopped:
            raise Stop(str(stopped), NO) from None
        except asyncio.CancelledError:  # what asyncio makes of Ctrl-C
            raise Stop(interrupted(rebuild, again), INTERRUPTED) from None
        return Rebuilt(view, live.epoch, rebuild.began_at, live.position, round(perf_counter() - began, 3))


def beginning(view: str, epoch: int, began_at: int) -> str:
    where = f"goes on after event {began_at:,}" if began_at else "begins with the first event"
    return f"Generation {epoch} of {view} {where}"


def interrupted(rebuild: Rebuild, again: str) -> str:
    return (
        f"stopped at event {rebuild.position:,} of {rebuild.head:,}; what is filled is kept, and the view answers as "
        f"before. Go on with: {again}"
    )


def in_words(rebuilt: Rebuilt) -> str:
    events, seconds = rebuilt.position - rebuilt.began_at, rebuilt.seconds
    return f"{rebuilt.view} is rebuilt: generation {rebuilt.epoch} is live, {events:,} events in {seconds:.1f} s."
