"""`diptych projection status`: how far each view is, by how much it trails the log, and why it stands still."""

import asyncio
import sys
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from diptych import BoundedContext
from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store, store_url
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, WRONG_USE, Stop
from diptych.messages.words import did_you_mean
from diptych.read import Standing

LIVE, LAGGING, STANDS_STILL = "live", "lagging", "stands still"


class Row(msgspec.Struct, frozen=True):
    """How one view stands. `epoch` counts its fillings and is null for a view that this code has not filled yet."""

    view: str
    state: str
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    epoch: int | None
    reason: str | None
    failed_position: int | None
    since: str | None


class Found(NamedTuple):
    standings: Sequence[Standing]
    head: int


def status(name: str | None = None, /, *, target: Target = None, store: StoreUrl = None, json: Json = False) -> int:
    """Show how the views stand: live, lagging, or standing still, and why.

    All views of a shop; exits with 1 if one of them stands still:

        diptych projection status --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        One view only.
    """
    context = context_at(target)
    check_name(context, name)
    existing_store(store)
    found = asyncio.run(look(context, store_url(store)))
    rows = [row(standing, found.head) for standing in found.standings if name in (None, standing.view)]
    if json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*table(rows), *reasons(rows), ""]))
    return NO if any(one.state == STANDS_STILL for one in rows) else DONE


def check_name(context: BoundedContext, name: str | None) -> None:
    known = [fold.shape.name for fold in context.folds]
    if name is not None and name not in known:
        raise Stop(f"context {context.name!r} has no view {name!r}{did_you_mean(name, known)}", WRONG_USE)


async def look(context: BoundedContext, url: str) -> Found:
    """The standings, without a projector that would change them meanwhile."""
    async with context.open(url, projectors=False) as app:
        standings = await app.standings()
        return Found(standings, (await app.log.head()).position)


def row(standing: Standing, head: int) -> Row:
    """What there is to say about one view."""
    checkpoint = standing.checkpoint
    failure = None if checkpoint is None else checkpoint.failure
    state = LIVE if standing.lag.events == 0 else LAGGING
    return Row(
        view=standing.view,
        state=state if standing.failure is None else STANDS_STILL,
        position=standing.position,
        head=max(head, standing.position),
        lag_events=standing.lag.events,
        lag_seconds=round(standing.lag.time.total_seconds(), 3),
        epoch=None if checkpoint is None else checkpoint.epoch,
        reason=standing.failure,
        failed_position=None if failure is None else failure.position,
        since=None if failure is None else failure.since,
    )


def table(rows: Sequence[Row]) -> list[str]:
    """One line for each view, under headings; numbers to the right."""
    cells = [("View", "State", "Position", "Head", "Lag", "Seconds", "Epoch")]
    cells += [
        (
            one.view,
            one.state,
            f"{one.position:,}",
            f"{one.head:,}",
            f"{one.lag_events:,}",
            f"{one.lag_seconds:,.1f}",
            "-" if one.epoch is None else str(one.epoch),
        )
        for one in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def reasons(rows: Sequence[Row]) -> list[str]:
    """Why views stand still, and since when."""
    lines: list[str] = []
    for one in rows:
        if one.reason is not None:
            where = "" if one.failed_position is None else f" at event {one.failed_position} since {one.since}"
            lines += ["", f"{one.view} stands still{where}:", f"  {one.reason}"]
    return lines
