"""`diptych snapshot delete`: the snapshots of an aggregate's streams are deleted."""

import asyncio
import sys

import msgspec

from diptych import BoundedContext
from diptych.cli.options import Json, SnapshotsUrl, StoreUrl, Target
from diptych.cli.places import existing_store, snapshots_beside
from diptych.cli.snapshot.names import aggregate_named
from diptych.cli.target import context_at
from diptych.cli.words import DONE
from diptych.stores import KeepsSnapshots, Store


class Deleted(msgspec.Struct, frozen=True):
    """How many snapshots there were."""

    aggregate: str
    deleted: int


def delete(
    name: str,
    /,
    *,
    target: Target = None,
    store: StoreUrl = None,
    snapshots: SnapshotsUrl = None,
    json: Json = False,
) -> int:
    """Delete the snapshots of an aggregate's streams; they are made again as they become due.

    At any time, also while servers are at work:

        diptych snapshot delete order --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    name:
        The aggregate.
    """
    context = context_at(target)
    category = aggregate_named(context, name).name
    place = existing_store(store)
    deleted = Deleted(name, asyncio.run(delete_in(context, place, snapshots_beside(place, snapshots), category)))
    sys.stdout.write((msgspec.json.encode(deleted).decode() if json else in_words(deleted)) + "\n")
    return DONE


async def delete_in(context: BoundedContext, store: Store, place: KeepsSnapshots, category: str) -> int:
    async with context.log(store) as log, place.snapshots(log) as snapshots:
        return await snapshots.delete(category)


def in_words(deleted: Deleted) -> str:
    return f"Snapshots of {deleted.aggregate}: {deleted.deleted:,} deleted."
