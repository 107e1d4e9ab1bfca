"""`diptych projection status`: how far each view is, by how much it trails the log, and what holds it back."""

import asyncio
import sys

import msgspec

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.output import columns, write_lines
from diptych.cli.places import existing_store, store_url
from diptych.cli.projection.looks import look_twice
from diptych.cli.projection.names import fold_named
from diptych.cli.projection.standing import rows_of
from diptych.cli.projection.words import segments, table, words
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO


def status(name: str | None = None, /, *, target: Target = None, store: StoreUrl = None, json: Json = False) -> int:
    """Show how the views stand: live, lagging, parked, paused, being filled, or standing still, and why.

    All views of a shop; exits with 1 if one of them needs somebody:

        diptych projection status --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        One view only, with its segments and their owners.
    """
    context = context_at(target)
    if name is not None:
        fold_named(context, name)
    looks = asyncio.run(look_twice(context, existing_store(store), store_url(store)))
    rows = [row for row in rows_of(looks) if name in (None, row.view)]
    if json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        shares = [line for row in rows if name is not None for line in segments(row, columns())]
        write_lines([*table(rows, columns()), *shares, *(line for row in rows for line in words(row))])
    return NO if any(row.needs_somebody for row in rows) else DONE
