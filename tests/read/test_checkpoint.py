"""What is said of where a view stands: what hinders it, what delays it, and whether it may replace another."""

from typing import Any

import pytest

from diptych.log import Anchor
from diptych.read import Checkpoint, Failure, Generation, Pause, State

SINCE = "2026-01-31T12:00:00+00:00"


def at(position: int, segment: int = 0, **more: Any) -> Checkpoint:
    defaults: dict[str, Any] = {"owner": "worker"}
    return Checkpoint("log", 1, segment, 2, 1, Anchor(position, b""), **(defaults | more))


def generation(*checkpoints: Checkpoint, state: State = State.LIVE, **more: Any) -> Generation:
    return Generation(1, "fingerprint", "log", state, checkpoints, **more)


def failure(category: Any = "store", position: int = 8) -> Failure:
    return Failure(category, position, f"the {category} fails", SINCE)


def test_a_generation_is_where_the_segment_is_that_is_farthest_behind() -> None:
    assert generation(at(9), at(4, 1)).position == 4
    assert generation(at(9, parked=2), at(4, 1, parked=3)).parked == 5


def test_nothing_hinders_a_view_that_only_needs_time() -> None:
    slow = generation(at(9, failure=failure()), at(4, 1, owner=None), state=State.FILLING)
    assert slow.hindrance is None
    assert not slow.astray


def test_a_pause_hinders_and_so_does_a_log_that_lost_its_end() -> None:
    paused = Pause(SINCE, "for the night")
    assert generation(at(9), pause=paused).hindrance == f"it is paused since {SINCE}: for the night"
    astray = generation(at(9, failure=failure()), at(12, 1, failure=failure("log", 12)), pause=paused)
    assert astray.hindrance == (
        f"it stands still at event 12 since {SINCE}: the log fails; it is paused since {SINCE}: for the night"
    )


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (generation(at(9)), "it is lagging; ask again, or allow more time"),
        (generation(at(9, failure=failure())), f"it cannot go on at event 8 since {SINCE}: the store fails"),
        (generation(at(9), at(9, 1, owner=None)), "no worker projects it"),
        (generation(at(9), at(7, 1), state=State.FILLING), "it is being filled, and is at event 7"),
        (generation(at(9, owner=None), state=State.FILLING), "no worker projects it"),
    ],
)
def test_a_delay_has_its_reason(standing: Generation, words: str) -> None:
    assert standing.delay == words


def test_of_several_failures_the_one_counts_that_somebody_has_to_act_on_or_else_that_of_the_farthest_behind() -> None:
    ahead, behind, log = failure("store", 10), failure("event", 5), failure("log", 12)
    assert generation(at(9, failure=ahead), at(4, 1, failure=behind)).failure == behind
    assert generation(at(4, failure=behind), at(12, 1, failure=log)).failure == log
    assert generation(at(4), at(12, 1)).failure is None


def test_no_answer_becomes_older_when_a_generation_replaces_another() -> None:
    live = generation(at(9), at(11, 1))
    assert not generation(at(10), at(30, 1), state=State.FILLING).may_replace(live)
    assert generation(at(11), at(11, 1), state=State.FILLING).may_replace(live)
    behind = generation(at(2), state=State.FILLING)
    assert behind.may_replace(None)
    assert behind.may_replace(live._replace(log_id="another"))
    assert behind.may_replace(generation(at(11, failure=failure("log", 11))))
