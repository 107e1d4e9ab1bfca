"""`diptych projection retry`: what a view holds back is applied, in order, now that its handler is mended."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.output import write_lines
from diptych.cli.places import existing_store
from diptych.cli.projection.keys import Key, Stream, typed_hold
from diptych.cli.projection.names import fold_named
from diptych.cli.projection.parked import Parked, parked_in
from diptych.cli.projection.settled import Outcome, outcome, still_held
from diptych.cli.target import context_at
from diptych.cli.words import DONE, INTERRUPTED, NO, Stop
from diptych.progress import Progress, progress_on, shown
from diptych.read import Hold, Retried

KEYS = "Keys"


class Tried(msgspec.Struct, frozen=True):
    """What became of each key: of those that are held back still, too."""

    view: str
    generation: int
    applied: int
    left: int
    keys: Sequence[Outcome]


def retry(  # noqa: PLR0913 - the options that this command has
    name: str,
    /,
    *,
    key: Key = None,
    stream: Stream = None,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Apply what a view holds back, key by key and in order, until it fails again.

    After the handler was mended, while servers run or not; exits with 1 if anything is held back still:

        diptych projection retry OrderSummary --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The view.
    key:
        One key only.
    stream:
        One stream only, where events could not be read for their keys.
    """
    fold = fold_named(context_at(target), name)

    async def work(progress: Progress) -> Tried:
        async with parked_in(existing_store(store), fold) as parked:
            held = [one.hold for one in await parked.held()]
            one = typed_hold(name, held, key, stream)
            return await retried(parked, held if one is None else [one], progress)

    with progress_on(sys.stderr) as progress:
        tried = asyncio.run(work(progress))
    if json:
        sys.stdout.write(msgspec.json.encode(tried).decode() + "\n")
    else:
        write_lines(in_words(tried))
    return NO if tried.left else DONE


async def retried(parked: Parked, holds: Sequence[Hold], progress: Progress) -> Tried:
    """Tries one hold after the other. Each is settled by itself, so that what is done stays so. Raises Stop."""
    found: list[Retried] = []
    try:
        async with AsyncExitStack() as stack:
            if holds:
                await stack.enter_async_context(shown(progress, KEYS, lambda: len(found), lambda: len(holds)))
            for hold in holds:
                found.append(await parked.repair.retry(hold))  # noqa: PERF401 - what was done is shown meanwhile
    except asyncio.CancelledError:  # what asyncio makes of Ctrl-C
        raise Stop(f"stopped after {len(found):,} of {len(holds):,} keys, which stay applied", INTERRUPTED) from None
    left = sum(1 for one in found if one.left is not None)
    outcomes = [outcome(one) for one in found]
    return Tried(parked.view, parked.generation.number, sum(one.applied for one in found), left, outcomes)


def in_words(tried: Tried) -> list[str]:
    """How much was applied, and what is held back still."""
    if not tried.keys:
        return [f"Nothing is held back in generation {tried.generation} of {tried.view}."]
    events = f"{tried.applied:,} {'event' if tried.applied == 1 else 'events'}"
    done = len(tried.keys) - tried.left
    keys = f"{done:,} of {len(tried.keys):,} {'key' if len(tried.keys) == 1 else 'keys'}"
    return [f"{tried.view}: {events} applied; {keys} joined the others again.", *still_held(tried.view, tried.keys)]
