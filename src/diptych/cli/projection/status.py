"""`diptych projection status`: how far each view is, by how much it trails the log, and what holds it back."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from diptych import BoundedContext
from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import existing_store, store_url
from diptych.cli.projection.names import fold_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO
from diptych.read import Standing
from diptych.stores import Store

LIVE, LAGGING, PAUSED, STANDS_STILL = "live", "lagging", "paused", "stands still"


class Unfinished(msgspec.Struct, frozen=True):
    """A generation that a rebuild has begun to fill, and how far it is."""

    epoch: int
    position: int


class Row(msgspec.Struct, frozen=True):
    """How one view stands. `epoch` counts its generations and is null for a view that this code has not filled yet."""

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
    paused_since: str | None
    unfinished: Unfinished | None


class Found(NamedTuple):
    standings: Sequence[Standing]
    unfinished: Mapping[str, Unfinished]
    head: int


def status(name: str | None = None, /, *, target: Target = None, store: StoreUrl = None, json: Json = False) -> int:
    """Show how the views stand: live, lagging, paused, or standing still, and why.

    All views of a shop; exits with 1 if one of them stands still:

        diptych projection status --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        One view only.
    """
    context = context_at(target)
    if name is not None:
        fold_named(context, name)
    found = asyncio.run(look(context, existing_store(store), store_url(store)))
    rows = [row(standing, found) for standing in found.standings if name in (None, standing.view)]
    if json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*table(rows), *reasons(rows), ""]))
    return NO if any(one.state == STANDS_STILL for one in rows) else DONE


async def look(context: BoundedContext, store: Store, url: str) -> Found:
    """The standings, without a projector that would change them meanwhile."""
    async with context.open(url, projectors=False) as app, store.views() as views:
        standings = await app.standings()
        unfinished = {
            fold.shape.name: Unfinished(generation.checkpoint.epoch, generation.checkpoint.position)
            for fold in context.folds
            for generation in await views.generations(fold.shape)
            if not generation.live
        }
        return Found(standings, unfinished, (await app.log.head()).position)


def row(standing: Standing, found: Found) -> Row:
    """What there is to say about one view."""
    checkpoint = standing.checkpoint
    failure = None if checkpoint is None else checkpoint.failure
    return Row(
        view=standing.view,
        state=state(standing),
        position=standing.position,
        head=max(found.head, standing.position),
        lag_events=standing.lag.events,
        lag_seconds=round(standing.lag.time.total_seconds(), 3),
        epoch=None if checkpoint is None else checkpoint.epoch,
        reason=standing.failure,
        failed_position=None if failure is None else failure.position,
        since=None if failure is None else failure.since,
        paused_since=standing.paused,
        unfinished=found.unfinished.get(standing.view),
    )


def state(standing: Standing) -> str:
    """The most that is wrong with a view, in a word or two."""
    if standing.failure is not None:
        return STANDS_STILL
    if standing.paused is not None:
        return PAUSED
    return LIVE if standing.lag.events == 0 else LAGGING


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
    """Why views stand still or are paused, since when, and which rebuilds are unfinished."""
    lines: list[str] = []
    for one in rows:
        if one.reason is not None:
            where = "" if one.failed_position is None else f" at event {one.failed_position} since {one.since}"
            lines += ["", f"{one.view} stands still{where}:", f"  {one.reason}"]
        if one.paused_since is not None:
            lines += ["", f"{one.view} is paused since {one.paused_since}:", f"  diptych projection resume {one.view}"]
        if (new := one.unfinished) is not None:
            lines += ["", f"{one.view} has an unfinished rebuild, generation {new.epoch}, at event {new.position:,}:"]
            lines += [f"  diptych projection rebuild {one.view}"]
    return lines
