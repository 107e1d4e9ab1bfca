"""Whether the process lives, and whether it is ready to be asked: what a load balancer and a person look at."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from diptych.app import App
from diptych.errors import DiptychError
from diptych.read import Standing


async def readiness(app: App | None, max_lag: timedelta, obstacle: str | None = None) -> tuple[bool, dict[str, Any]]:
    """Whether the gateway is ready, and the words for it: every reason why not, and how each view stands.

    `obstacle` is a reason from outside.
    """
    if app is None:
        return False, _said(["the gateway is starting or stopping"], [])
    try:
        standings = await app.standings()
    except DiptychError as error:
        return False, _said([f"the store cannot be read: {error.code}"], [])
    reasons = [] if obstacle is None else [obstacle]
    reasons += [reason for standing in standings if (reason := _reason(standing, max_lag)) is not None]
    return not reasons, _said(reasons, standings)


def _reason(standing: Standing, max_lag: timedelta) -> str | None:
    generation = standing.generation
    if standing.failure is not None:
        return f"view {standing.view} stands still at position {standing.position}"
    if generation is not None and not generation.live:
        return f"view {standing.view} is being filled, and is at position {standing.position}"
    if standing.lag.time > max_lag:
        late = standing.lag.time.total_seconds()
        why = f"; it is paused since {standing.pause.since}" if standing.pause else ""
        return f"view {standing.view} is {late:.1f} s behind, and {max_lag.total_seconds():g} s is its bound{why}"
    return None


def _said(reasons: Sequence[str], standings: Sequence[Standing]) -> dict[str, Any]:
    return {
        "ready": not reasons,
        "reasons": reasons,
        "views": {
            standing.view: {
                "generation": standing.number,
                "position": standing.position,
                "lag_events": standing.lag.events,
                "lag_seconds": round(standing.lag.time.total_seconds(), 3),
                "standing_still": standing.failure is not None,
                "paused": standing.pause is not None,
                "parked": standing.parked,
                "dead_letters": standing.letters,
                "segments_without_owner": standing.free,
            }
            for standing in standings
        },
    }
