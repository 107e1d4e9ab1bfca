"""What became of a key that was tried again, for the commands that do so."""

from collections.abc import Sequence

import msgspec

from diptych.cli.output import printable
from diptych.cli.projection.keys import shown_hold
from diptych.read import Hold, Retried

SHOWN = 20
"""Keys that are named at most; `diptych projection letters` has the rest."""


class Left(msgspec.Struct, frozen=True):
    """The event that fails again."""

    position: int
    type: str
    error: str | None


class Outcome(msgspec.Struct, frozen=True):
    """A key, as JSON, or else a stream; how many of its events were applied, and which is left, if one is."""

    key: str
    stream: str
    applied: int
    left: Left | None


def outcome(retried: Retried) -> Outcome:
    left = retried.left
    error = None if left is None or left.cause is None else left.cause.error
    what = None if left is None else Left(left.position, left.type, error)
    return Outcome(retried.hold.key, retried.hold.stream, retried.applied, what)


def still_held(view: str, outcomes: Sequence[Outcome]) -> list[str]:
    """A paragraph for each of the first keys that are held back still, and where the rest is to be seen."""
    lines: list[str] = []
    failing = [(one, one.left) for one in outcomes if one.left is not None]
    for one, left in failing[:SHOWN]:
        hold = shown_hold(Hold(one.key, one.stream))
        lines += ["", f"Event {left.position:,}, {left.type}, fails again for {hold}:"]
        lines += [] if left.error is None else [f"  {printable(left.error)}"]
    if len(failing) > SHOWN:
        lines += ["", f"… and {len(failing) - SHOWN:,} more: diptych projection letters {view}"]
    return lines
