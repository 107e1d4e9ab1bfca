"""`diptych projection skip`: an event that will never apply is passed over for good, and its key goes on."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.output import printable, write_lines
from diptych.cli.places import existing_store
from diptych.cli.projection.keys import Key, Stream, shown_hold, typed_hold
from diptych.cli.projection.names import fold_named
from diptych.cli.projection.parked import Parked, parked_in
from diptych.cli.projection.settled import Outcome, outcome, still_held
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, WRONG_USE, Stop
from diptych.read import Held, Hold

NAMED = 5
"""Events that are named at most where another was meant."""


class Skipped(msgspec.Struct, frozen=True):
    """An event that is passed over, why, and what became of what waited behind it."""

    view: str
    generation: int
    position: int
    because: str
    keys: Sequence[Outcome]


def skip(  # noqa: PLR0913 - the options that this command has
    name: str,
    /,
    *,
    position: Annotated[int, Parameter(metavar="N")],
    because: Annotated[str, Parameter(metavar="TEXT")],
    key: Key = None,
    stream: Stream = None,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Pass an event over that a view cannot apply, for good, and apply what waits behind it.

    It is recorded with its reason, and passed over in every rebuild too; exits with 1 if a later event fails:

        diptych projection skip OrderSummary --position 7 --because "a test order" --target shop:shop

    Parameters
    ----------
    name:
        The view.
    position:
        The event's position: the first that is held back, as `projection letters` shows it.
    because:
        Why it may be left out, for whoever asks later.
    key:
        For one key only, where it is held back for several.
    stream:
        For one stream only, where events could not be read for their keys.
    """
    if not because.strip():
        raise Stop("--because is empty; say why the event may be left out, for whoever asks later", WRONG_USE)
    fold = fold_named(context_at(target), name)

    async def work() -> Skipped:
        async with parked_in(existing_store(store), fold) as parked:
            held = await parked.held()
            hold = typed_hold(name, [one.hold for one in held], key, stream)
            holds = [hold] if hold is not None else held_by(parked.view, held, position)
            return await skipped(parked, holds, position, because)

    said = asyncio.run(work())
    if json:
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    else:
        write_lines(in_words(said))
    return NO if any(one.left for one in said.keys) else DONE


def held_by(view: str, held: Sequence[Held], position: int) -> list[Hold]:
    """What an event holds back as the first of its key. Raises Stop."""
    if found := [one.hold for one in held if one.first.position == position]:
        return found
    firsts = sorted({one.first.position for one in held})
    named = ", ".join(f"{first:,}" for first in firsts[:NAMED])
    those = f"; those that do are {named}{' and more' if len(firsts) > NAMED else ''}" if firsts else ""
    raise Stop(f"event {position:,} is not the first that holds anything back in {view}{those}", WRONG_USE)


async def skipped(parked: Parked, holds: Sequence[Hold], position: int, because: str) -> Skipped:
    """Passes the event over for each hold, and goes on with what is behind it."""
    outcomes: list[Outcome] = []
    for hold in holds:
        await parked.repair.skip(hold, position, because)
        outcomes.append(outcome(await parked.repair.retry(hold)))
    return Skipped(parked.view, parked.generation.number, position, because, outcomes)


def in_words(said: Skipped) -> list[str]:
    """What is passed over, for whom, and how many events went on after it."""
    first, more = said.keys[0], len(said.keys) - 1
    hold = shown_hold(Hold(first.key, first.stream))
    others = f" and {more:,} more" if more else ""
    applied = sum(one.applied for one in said.keys)
    behind = f"; {applied:,} {'event' if applied == 1 else 'events'} behind it applied" if applied else ""
    return [
        f"Event {said.position:,} of {said.view} is passed over for {hold}{others}{behind}.",
        f"  because: {printable(said.because)}",
        *still_held(said.view, said.keys),
    ]
