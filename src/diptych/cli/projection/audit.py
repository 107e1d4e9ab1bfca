"""`diptych projection audit`: a view's rows beside what the log says, key by key."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store
from diptych.cli.projection.names import AFold, fold_named, of_rows
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, Stop
from diptych.progress import Progress, progress_on, shown
from diptych.read import Audit, Difference, Fold, NeverFilled
from diptych.stores import Store

SHOWN = 20
"""Differences that are shown; all are counted."""


class Found(msgspec.Struct, frozen=True):
    """A key whose row is not what the log says; rows are JSON, null for none."""

    kind: str
    key: str
    expected: msgspec.Raw
    found: msgspec.Raw


class Audited(msgspec.Struct, frozen=True):
    """How many rows were compared, how many differ, and the first of those."""

    view: str
    rows: int
    differences: int
    first: list[Found]


def audit(
    name: str,
    /,
    *,
    sample: Annotated[int, Parameter(metavar="N", validator=Number(gte=1, lte=1_000_000))] = 1,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Compare a view's rows with the log, key by key, while it is projected; exit with 1 where they differ.

    It finds what a lag does not show, a hole, an event applied twice, a row that was changed by hand:

        diptych projection audit OrderSummary --target shop:shop --store sqlite:///shop.db

    Rows that differ because a handler has changed since are told of as well: rebuild the view then.

    Parameters
    ----------
    name:
        The view.
    sample:
        Only one key of so many.
    """
    fold = comparable(fold_named(context_at(target), name))
    place = existing_store(store)
    with progress_on(sys.stderr) as progress:
        return asyncio.run(compared([fold], place, progress, sample=sample, json=json))


def comparable(fold: AFold) -> Fold[Any]:
    """A fold whose rows can be told without a store. Raises Stop."""
    return of_rows(fold, "what its SQL makes of the log is known to the store alone; rebuild it where in doubt")


async def compared(folds: Sequence[Fold[Any]], store: Store, progress: Progress, *, sample: int = 1, json: bool) -> int:
    """Compares views with the log, says how they differ, and gives the exit code. Raises Stop."""
    code = DONE
    for fold in folds:
        view = fold.shape.name
        async with store.log() as log, store.views(in_step=fold.shape.sync) as views:
            try:
                audited = await audit_of(Audit(fold, log, views), view, progress, sample)
            except NeverFilled:
                raise Stop(f"{view} has no rows yet; fill it: diptych projection rebuild {view}", NO) from None
        sys.stdout.write((msgspec.json.encode(audited).decode() if json else in_words(audited)) + "\n")
        code = NO if audited.differences else code
    return code


async def audit_of(audit: Audit, view: str, progress: Progress, sample: int) -> Audited:
    """One view, compared."""
    first: list[Found] = []
    async with shown(progress, view, lambda: audit.position, lambda: audit.head or None):
        async for difference in audit.run(sample):
            if len(first) < SHOWN:
                first.append(found(difference))
    return Audited(view, audit.rows, audit.differences, first)


def found(difference: Difference) -> Found:
    expected, row = (msgspec.Raw(msgspec.json.encode(one)) for one in (difference.expected, difference.found))
    return Found(difference.kind, difference.key, expected, row)


def in_words(audited: Audited) -> str:
    if not audited.differences:
        return f"{audited.view}: {audited.rows:,} {'row is' if audited.rows == 1 else 'rows are'} as the log says."
    lines = [f"{audited.view}: {audited.differences:,} of {audited.rows:,} rows are not as the log says."]
    for one in audited.first:
        lines += [
            f"  {one.kind} {one.key}",
            f"    log:  {bytes(one.expected).decode()}",
            f"    view: {bytes(one.found).decode()}",
        ]
    if audited.differences > len(audited.first):
        lines.append(f"  and {audited.differences - len(audited.first):,} more")
    return "\n".join(lines)
