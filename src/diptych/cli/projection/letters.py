"""`diptych projection letters`: what a view holds back, why, and what it was told to pass over."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.output import printable, write_lines
from diptych.cli.places import existing_store
from diptych.cli.projection.keys import Key, Stream, shown_hold, typed_hold
from diptych.cli.projection.names import fold_named
from diptych.cli.projection.parked import Parked, parked_in
from diptych.cli.target import context_at
from diptych.cli.words import DONE
from diptych.read import Held, Hold, Letter, Skip

LIMIT = 20


class Waiting(msgspec.Struct, frozen=True):
    """A dead letter. `error` and what follows are null for an event that only waits behind another."""

    position: int
    type: str
    parked_at: str
    error: str | None
    attempts: int | None
    first: str | None
    last: str | None
    traceback: str | None


class HeldBack(msgspec.Struct, frozen=True):
    """A key, as JSON, or else a stream, with its first letters and the number of all."""

    key: str
    stream: str
    letters: int
    first: Sequence[Waiting]


class PassedOver(msgspec.Struct, frozen=True):
    """An event that an operator has had skipped."""

    key: str
    stream: str
    position: int
    because: str
    at: str


class Letters(msgspec.Struct, frozen=True):
    """What one generation of a view holds back: the first keys of all, and the last events that were passed over."""

    view: str
    generation: int
    keys: int
    held: Sequence[HeldBack]
    skipped: Sequence[PassedOver]


def letters(  # noqa: PLR0913 - the options that this command has
    name: str,
    /,
    *,
    key: Key = None,
    stream: Stream = None,
    generation: Annotated[int | None, Parameter(metavar="N")] = None,
    limit: Annotated[int, Parameter(metavar="N", validator=Number(gte=1))] = LIMIT,
    tracebacks: Annotated[bool, Switch] = False,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Show what a view holds back: for each key the event that could not be applied, why, and how many wait behind it.

    After an alert, and then the whole story of one key:

        diptych projection letters OrderSummary --target shop:shop --store sqlite:///shop.db
        diptych projection letters OrderSummary --key 536365 --tracebacks

    Parameters
    ----------
    name:
        The view.
    key:
        One key only, with its events one by one.
    stream:
        One stream only, where events could not be read for their keys.
    generation:
        Those of another generation than the one that answers, such as an unfinished rebuild's.
    limit:
        The most keys that are shown, or the most events of one.
    tracebacks:
        Show where each error was raised.
    """
    fold = fold_named(context_at(target), name)

    async def look() -> Letters:
        async with parked_in(existing_store(store), fold, generation) as parked:
            hold = typed_hold(name, [one.hold for one in await parked.held()], key, stream)
            return await found(parked, hold, limit)

    said = asyncio.run(look())
    if json:
        sys.stdout.write(msgspec.json.encode(said if tracebacks else without_tracebacks(said)).decode() + "\n")
    else:
        write_lines(in_words(said, one_by_one=key is not None or stream is not None, tracebacks=tracebacks))
    return DONE


async def found(parked: Parked, hold: Hold | None, limit: int) -> Letters:
    """The first letter of each hold, or the first ones of one."""
    held = await parked.held()
    if hold is None:
        shown = [held_back(one, [one.first]) for one in held[:limit]]
    else:
        page = await parked.views.letters(parked.fold.shape, parked.generation.number, hold, limit=limit)
        events = {letter.position: letter for _, letter in page}  # of a stream, each segment has one
        shown = [held_back(one, list(events.values())) for one in held if one.hold == hold]
    skips = [skip for skip in await parked.views.skips(parked.fold.shape) if hold in (None, skip.hold)]
    return Letters(
        parked.view, parked.generation.number, len(held), shown, [passed_over(skip) for skip in skips[-limit:]]
    )


def held_back(held: Held, letters: Sequence[Letter]) -> HeldBack:
    return HeldBack(held.hold.key, held.hold.stream, held.letters, [waiting(letter) for letter in letters])


def waiting(letter: Letter) -> Waiting:
    where = (letter.position, letter.type, letter.parked_at)
    if (cause := letter.cause) is None:
        return Waiting(*where, None, None, None, None, None)
    return Waiting(*where, cause.error, cause.attempts, cause.first, cause.last, cause.traceback)


def passed_over(skip: Skip) -> PassedOver:
    return PassedOver(skip.hold.key, skip.hold.stream, skip.position, skip.because, skip.at)


def without_tracebacks(letters: Letters) -> Letters:
    replace = msgspec.structs.replace
    held = [replace(one, first=[replace(each, traceback=None) for each in one.first]) for one in letters.held]
    return replace(letters, held=held)


def in_words(letters: Letters, *, one_by_one: bool, tracebacks: bool) -> list[str]:
    """A paragraph for each hold, and one for what was passed over."""
    lines = [summary(letters)]
    for one in letters.held:
        lines += ["", *(each_event if one_by_one else first_event)(one, tracebacks=tracebacks)]
    if not one_by_one and (more := letters.keys - len(letters.held)):
        lines += ["", f"… and {more:,} more, since later; --limit {letters.keys} shows all."]
    if letters.held:
        lines += ["", "Mend what fails, then:", f"  diptych projection retry {letters.view}"]
    if letters.skipped:
        lines += ["", "Passed over:", *(f"  {skipped(one)}" for one in letters.skipped)]
    return lines


def summary(letters: Letters) -> str:
    generation = f"generation {letters.generation} of {letters.view}"
    if not letters.keys:
        return f"Nothing is held back in {generation}."
    return f"{letters.keys:,} {'key is' if letters.keys == 1 else 'keys are'} held back in {generation}."


def first_event(held: HeldBack, *, tracebacks: bool) -> list[str]:
    first = held.first[0]
    behind = f", and {held.letters - 1:,} behind it" if held.letters > 1 else ""
    return [f"{capital(held)}: event {first.position:,}, {first.type}{behind}", *cause(first, tracebacks=tracebacks)]


def each_event(held: HeldBack, *, tracebacks: bool) -> list[str]:
    lines = [f"{capital(held)}: {held.letters:,} {'event' if held.letters == 1 else 'events'}"]
    for one in held.first:
        lines += [f"  event {one.position:,}, {one.type}, parked {one.parked_at}"]
        lines += [f"  {line}" for line in cause(one, tracebacks=tracebacks)]
    if more := held.letters - len(held.first):
        lines += [f"  … and {more:,} more; --limit {held.letters} shows all."]
    return lines


def cause(letter: Waiting, *, tracebacks: bool) -> list[str]:
    if letter.error is None:
        return []
    trace = (letter.traceback or "").splitlines() if tracebacks else []
    times = "once" if letter.attempts == 1 else f"{letter.attempts} times, first {letter.first}"
    return [
        f"  {printable(letter.error)}",
        f"  tried {times}, last {letter.last}",
        *(f"    {printable(line)}" for line in trace),
    ]


def skipped(one: PassedOver) -> str:
    hold = shown_hold(Hold(one.key, one.stream))
    return f"event {one.position:,} for {hold}, {one.at}: {printable(one.because)}"


def capital(held: HeldBack) -> str:
    words = shown_hold(Hold(held.key, held.stream))
    return words[0].upper() + words[1:]
