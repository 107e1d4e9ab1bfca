"""`diptych event-store import`: the events of another system or another log, from a file or a pipe, into a log."""

import asyncio
import sys
from time import perf_counter
from typing import Annotated

import msgspec
from cyclopts import Parameter

from diptych import BoundedContext, ImportStopped, OutcomeUnknown, Token, Unavailable
from diptych.app.imports import Import, LineReader
from diptych.cli.event_store.append import note_new
from diptych.cli.event_store.source import Source, opened
from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.places import store_url
from diptych.cli.target import context_at
from diptych.cli.words import DONE, INTERRUPTED, NO, UNREACHABLE, Stop
from diptych.errors import DiptychError
from diptych.messages import to_json
from diptych.progress import Progress, progress_on, shown
from diptych.stores import Store, store_at

LINES = "Lines"

SHOWN_PROBLEMS = 20
"""Lines that cannot be taken, of which `--check` tells."""


class Done(msgspec.Struct, frozen=True):
    """What was imported; `before` counts the events that an earlier import of the same lines had kept."""

    imported: int
    before: int
    token: Token
    seconds: float


def import_(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    check: Annotated[bool, Switch] = False,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    r"""Import events from elsewhere: a line of JSON for each, in the order in which they happened.

    From an old system, after a look at every line; and from one store to another:

        diptych event-store import old.ndjson --check --target shop:shop
        diptych event-store import old.ndjson --target shop:shop --store sqlite:///shop.db
        diptych event-store stream --json --store sqlite:///shop.db \
            | diptych event-store import - --target shop:shop --store postgresql://localhost/shop

    Servers may be at work on the store. An import that was stopped, by Ctrl-C or by a bad line, is given again: what is
    in the log already is recognised by its lines, and kept once.

    Parameters
    ----------
    file:
        The file; - for stdin. A line has stream, type and data, and may have what event-store stream --json prints.
    check:
        Import nothing: only say which lines could not be taken.
    """
    context = context_at(target)
    with opened(file) as source, progress_on(sys.stderr) as progress:
        if check:
            return asyncio.run(look(context, source, progress, json=json))
        url = store_url(store)
        place = store_at(url)
        note_new(place, url)
        done = asyncio.run(run(context, place, source, progress))
    sys.stdout.write((to_json(done).decode() if json else in_words(done)) + "\n")
    return DONE


async def run(context: BoundedContext, store: Store, source: Source, progress: Progress) -> Done:
    """Imports all lines. Raises Stop where that cannot go on, or is interrupted."""
    began = perf_counter()
    async with context.log(store) as log:
        importing = Import(LineReader(context.aggregates, context.catalogue), log, source.lines())
        try:
            async with shown(progress, LINES, lambda: importing.line, lambda: source.total):
                imported = await importing.run()
        except ImportStopped as error:
            mend = "Mend that and give the same command again: it goes on there."
            raise Stop(f"{error} {kept(importing)} {mend}", NO) from None
        except (Unavailable, OutcomeUnknown) as error:
            raise Stop(f"{error} {kept(importing)} {AGAIN}", UNREACHABLE) from None
        except asyncio.CancelledError:  # what asyncio makes of Ctrl-C
            raise Stop(f"stopped. {kept(importing)} {AGAIN}", INTERRUPTED) from None
    return Done(imported.imported, imported.before, imported.token, round(perf_counter() - began, 3))


AGAIN = "Give the same command again: it goes on there."


def kept(importing: Import) -> str:
    """How far it has come."""
    return f"The lines up to {importing.line:,} are imported." if importing.line else "Nothing was imported."


async def look(context: BoundedContext, source: Source, progress: Progress, *, json: bool) -> int:
    """Reads every line, and imports none. Raises Stop with the first lines that cannot be taken."""
    reader = LineReader(context.aggregates, context.catalogue)
    problems: list[str] = []
    number = 0

    async with shown(progress, LINES, lambda: number, lambda: source.total):
        async for text in source.lines():
            number += 1
            if number % 1000 == 0:
                await asyncio.sleep(0)
            if line := text.strip():
                try:
                    reader.read(line, "check")
                except DiptychError as error:
                    problems.append(f"line {number:,}: {error}")
                    if len(problems) == SHOWN_PROBLEMS:
                        break
    if problems:
        raise Stop("these lines cannot be taken; nothing was imported:", NO, problems)
    told = f"All {number:,} lines can be taken; nothing was imported."
    sys.stdout.write((f'{{"lines":{number}}}' if json else told) + "\n")
    return DONE


def in_words(done: Done) -> str:
    before = f"; {done.before:,} were imported before" if done.before else ""
    return f"Imported {done.imported:,} events in {done.seconds:.1f} s{before}.\nToken    {done.token}"
