"""What a worker logs of projections: a line of words each, and the same as facts, for programs that read logs.

Neither a row's key nor the words of a handler's error are in it, which may quote an event.
"""

import logging
from typing import Any

from diptych.read.checkpoint import Checkpoint, Generation
from diptych.read.letters import Letter

log = logging.getLogger("diptych.projections")
log.addHandler(logging.NullHandler())  # a command that projects by itself says what matters in its own words


def parked(view: str, at: Checkpoint, letter: Letter) -> None:
    """An event could not be applied, and something is held back from now on."""
    error = "" if letter.cause is None else letter.cause.kind
    log.error(
        "%s cannot apply event %d, %s (%s): it is parked, with what comes after it of the same %s; see: "
        "diptych projection letters %s",
        view,
        letter.position,
        letter.type,
        error,
        "stream" if letter.hold.stream else "key",
        view,
        extra=_facts(view, at, position=letter.position, type=letter.type, error=error),
    )


def paused(view: str, at: Checkpoint, position: int, most: int) -> None:
    """A projection pauses itself at an event, rather than hold back more keys."""
    log.error(
        "%s pauses itself at event %d: more than %d keys would be held back; see: diptych projection status %s",
        view,
        position,
        most,
        view,
        extra=_facts(view, at, position=position, max_parked=most),
    )


def taken(view: str, at: Checkpoint) -> None:
    """A segment is this worker's."""
    log.info("takes %s", _segment(view, at), extra=_facts(view, at))


def given_up(view: str, at: Checkpoint) -> None:
    """A segment is left to another worker."""
    log.info("gives up %s", _segment(view, at), extra=_facts(view, at))


def lost(view: str, at: Checkpoint) -> None:
    """A segment is not this worker's any more, without its doing."""
    log.warning("has lost %s to %s", _segment(view, at), at.owner or "nobody", extra=_facts(view, at))


def cleared_away(view: str, generation: Generation) -> None:
    """What other code had filled, which runs nowhere any more, is dropped."""
    number, position = generation.number, generation.position
    log.info(
        "drops generation %d of %s, at event %d: nobody runs the code that filled it any more",
        number,
        view,
        position,
        extra={"facts": {"view": view, "generation": number, "position": position}},
    )


def _segment(view: str, at: Checkpoint) -> str:
    return f"segment {at.segment} of {at.segments} of {view}, generation {at.generation}, at event {at.position}"


def _facts(view: str, at: Checkpoint, **more: object) -> dict[str, Any]:
    return {"facts": {"view": view, "generation": at.generation, "segment": at.segment, **more}}
