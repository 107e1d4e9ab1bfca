"""`diptych snapshot rebuild`: the snapshots of an aggregate's streams are made anew from the log."""

import asyncio
import sys
from time import perf_counter

import msgspec

from diptych import BoundedContext, Malformed
from diptych.cli.options import Json, SnapshotsUrl, StoreUrl, Target
from diptych.cli.places import existing_store, snapshots_beside
from diptych.cli.snapshot.names import aggregate_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, Stop
from diptych.progress import Progress, progress_on, shown
from diptych.stores import KeepsSnapshots, Store
from diptych.write import AggregateRules, SnapshotRebuild

EVENTS = "Events"


class Rebuilt(msgspec.Struct, frozen=True):
    """How many streams the aggregate has, and of how many of them a snapshot was made."""

    aggregate: str
    streams: int
    snapshots: int
    seconds: float


def rebuild(
    name: str,
    /,
    *,
    target: Target = None,
    store: StoreUrl = None,
    snapshots: SnapshotsUrl = None,
    json: Json = False,
) -> int:
    """Make the snapshots of an aggregate's streams anew, each from its first event.

    After an aggregate's version was raised, before its servers start:

        diptych snapshot rebuild order --target shop:shop --store sqlite:///shop.db

    Servers may be at work meanwhile. Where it is stopped, what is made by then is kept.

    Parameters
    ----------
    name:
        The aggregate.
    """
    context = context_at(target)
    rules = aggregate_named(context, name)
    place = existing_store(store)
    with progress_on(sys.stderr) as progress:
        rebuilt = asyncio.run(run(context, rules, place, snapshots_beside(place, snapshots), progress))
    sys.stdout.write((msgspec.json.encode(rebuilt).decode() if json else in_words(rebuilt)) + "\n")
    return DONE


async def run(
    context: BoundedContext, rules: AggregateRules, store: Store, place: KeepsSnapshots, progress: Progress
) -> Rebuilt:
    """Makes them. Raises Stop for an aggregate that has none, or whose state cannot be kept."""
    shape = rules.state_shape
    if shape is None:
        raise Stop(f"aggregate {rules.name!r} has no snapshots: {rules.unkept}", NO)
    async with context.log(store) as log, place.snapshots(log) as snapshots:
        rebuild = SnapshotRebuild(rules, shape, context.catalogue, log, snapshots)
        began = perf_counter()
        try:
            async with shown(progress, EVENTS, lambda: rebuild.position, lambda: rebuild.head or None):
                await rebuild.run()
        except Malformed as error:
            raise Stop(str(error), NO) from None
        return Rebuilt(rules.name, rebuild.streams, rebuild.kept, round(perf_counter() - began, 3))


def in_words(rebuilt: Rebuilt) -> str:
    made, streams = rebuilt.snapshots, rebuilt.streams
    return f"Snapshots of {rebuilt.aggregate}: {made:,} made, of {streams:,} streams, in {rebuilt.seconds:.1f} s."
