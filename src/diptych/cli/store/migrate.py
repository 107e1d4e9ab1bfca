"""`diptych store migrate`: brings a store's tables to this version."""

import asyncio
import sys
from collections.abc import Sequence

import msgspec

from diptych.cli.options import Json, StoreUrl
from diptych.cli.places import store_url
from diptych.cli.words import DONE
from diptych.stores import Migrates, store_at


def migrate(*, store: StoreUrl = None, json: Json = False) -> int:
    """Bring a store's tables to this version of Diptych, all or nothing; a store that is there already stays as it is.

    Before a new version of Diptych meets an old store, and once for a new one:

        diptych store migrate --store postgresql://localhost/shop
    """
    place = store_at(store_url(store))
    taken = asyncio.run(place.migrate()) if isinstance(place, Migrates) else ()
    if json:
        sys.stdout.write(msgspec.json.encode({"migrations": taken}).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*told(taken, isinstance(place, Migrates)), ""]))
    return DONE


def told(taken: Sequence[str], migrates: bool) -> list[str]:  # noqa: FBT001 - beside what it explains
    """What was done, as lines."""
    if not migrates:
        return ["This kind of store makes its tables by itself; there is nothing to migrate."]
    if not taken:
        return ["The store is up to date."]
    return [*[f"Applied {name}" for name in taken], "The store is up to date."]
