"""`schemas.lock`: the shapes of a context's events, committed beside the code, so that a change of one is noticed."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from diptych import BoundedContext
from diptych.app.shapes import Change, Shapes, changes, renewed, shapes_of
from diptych.cli.words import UNREACHABLE, WRONG_USE, Stop

LOCK = Path("schemas.lock")
FORMAT = 1


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: shapes by stored name and schema number."""

    format: int
    context: str
    events: Shapes


def read_lock() -> Lock | None:
    """The lock in the working folder, or None. Raises Stop for a file that is none."""
    try:
        lock = msgspec.json.decode(LOCK.read_bytes(), type=Lock)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Stop(f"{LOCK} cannot be read: {error.strerror}", UNREACHABLE) from None
    except msgspec.MsgspecError as error:
        raise Stop(f"{LOCK} is not what `diptych check --update` writes: {error}", WRONG_USE) from None
    if lock.format != FORMAT:
        raise Stop(f"{LOCK} has format {lock.format}, and this version of Diptych reads format {FORMAT}", WRONG_USE)
    return lock


def changed(lock: Lock, context: BoundedContext) -> list[Change]:
    """What is different in the code."""
    return changes(lock.events, shapes_of(context.events), context.catalogue.retired)


def write_lock(lock: Lock | None, context: BoundedContext) -> None:
    """Records the shapes as they are now; those of earlier schemas stay."""
    events = renewed({} if lock is None else lock.events, shapes_of(context.events))
    text = json.dumps({"format": FORMAT, "context": context.name, "events": events}, indent=2, ensure_ascii=False)
    try:
        LOCK.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Stop(f"{LOCK} cannot be written: {error.strerror}", UNREACHABLE) from None


def differences(found: Sequence[Change]) -> list[str]:
    """The changes as lines, and what to do."""
    if not found:
        return []
    lines = ["", f"Events are not as {LOCK} has them:"]
    lines += [f"  {one.event}: {one.what}" for one in found]
    if any(one.breaking for one in found):
        lines.append("Raise schema= and add an upcaster; or, if none was ever stored, delete the entry from the file.")
    else:
        lines.append("Record them with: diptych check --update")
    return lines
