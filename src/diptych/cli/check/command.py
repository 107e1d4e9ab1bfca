"""The command itself: what is looked at, what is said of it, and whether the answer is yes."""

import asyncio
import sys
from typing import Annotated

import msgspec

from diptych import ContextError
from diptych.cli.check.inventory import described, inventory
from diptych.cli.check.lock import LOCK, changed, differences, read_lock, write_lock
from diptych.cli.check.stored import stored_in, told
from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.places import store_if_there
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, WRONG_USE, Stop, say


def check(
    target: Target = None,
    *,
    store: StoreUrl = None,
    thorough: Annotated[bool, Switch] = False,
    update: Annotated[bool, Switch] = False,
    json: Json = False,
) -> int:
    """Say whether a context builds, what it has, and whether it can read what was stored before.

    Made for CI. Before a new version is deployed on an old store:

        diptych check shop:shop --store sqlite:///shop.db

    Where a file schemas.lock is in the working folder, events whose shape is not as recorded there are listed, too.

    Parameters
    ----------
    thorough:
        Decode every event of the store, however many there are, and not only look at their types and schemas.
    update:
        Record the shapes of all events in schemas.lock, to be committed. A change that would leave stored events
        unreadable is not recorded.
    """
    try:
        context = context_at(target)
    except ContextError as error:
        return show_problems(error, json=json)
    found = inventory(context)
    place = store_if_there(store)
    if thorough and place is None:
        raise Stop("--thorough decodes what a store holds; say which with --store", WRONG_USE)
    stored = None if place is None else asyncio.run(stored_in(*place, context.catalogue, thorough=thorough))
    lock = read_lock()
    changes = [] if lock is None else changed(lock, context)
    if update and not any(change.breaking for change in changes):
        write_lock(lock, context)
        changes = []
    if json:
        answer = {"inventory": found, "stored": stored, "changes": [one._asdict() for one in changes], "problems": ()}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    else:
        lines = [*described(found), *([] if stored is None else told(stored)), *differences(changes)]
        if update and not changes:
            lines += ["", f"{LOCK} has the shapes of all events."]
        sys.stdout.write("\n".join([*lines, ""]))
    return NO if changes or (stored is not None and stored.unreadable) else DONE


def show_problems(error: ContextError, *, json: bool) -> int:
    if json:
        answer = {"inventory": None, "stored": None, "changes": (), "problems": error.problems}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        return NO
    return say(f"bounded context {error.context!r} does not build:", NO, error.problems)
