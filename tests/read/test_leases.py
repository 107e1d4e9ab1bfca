"""Leases, as decisions: who is dead, and whose each segment is. No store."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.read import Worker
from diptych.read.leases import Place, Watch, assigned, claim

LEASE = timedelta(seconds=5)


class Clock:
    """Seconds, which a test has pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def workers(**beats: int) -> list[Worker]:
    return [Worker(name, frozenset(["f"]), beat) for name, beat in beats.items()]


def watch(clock: Clock, gone: Sequence[str] = ()) -> Watch:
    return Watch("me", LEASE, lambda worker: worker in gone, clock)


def dead(watch: Watch, **beats: int) -> list[str]:
    return [worker.id for worker in watch.dead(workers(**beats))]


# Who is dead


def test_a_worker_is_dead_when_its_beat_has_stood_still_for_the_time_of_a_lease() -> None:
    clock = Clock()
    watching = watch(clock)
    assert dead(watching, me=1, other=7) == []
    clock.now += 5
    assert dead(watching, me=2, other=7) == []
    clock.now += 0.1
    assert dead(watching, me=3, other=7) == ["other"]


def test_a_beat_that_grows_now_and_then_is_enough() -> None:
    clock = Clock()
    watching = watch(clock)
    for beat in range(10):
        assert dead(watching, other=beat) == []
        clock.now += 4.9


def test_nobody_takes_itself_for_dead() -> None:
    clock = Clock()
    watching = watch(clock)
    for _ in range(3):
        assert dead(watching, me=1) == []
        clock.now += 60


def test_whoever_comes_to_watch_gives_everyone_the_time_of_a_lease() -> None:
    clock = Clock()
    clock.now += 1_000_000
    assert dead(watch(clock), other=1) == []


def test_a_worker_whose_process_has_ended_is_dead_at_once() -> None:
    assert dead(watch(Clock(), gone=["other"]), me=1, other=1) == ["other"]


def test_a_worker_that_came_back_under_its_id_is_given_time_again() -> None:
    clock = Clock()
    watching = watch(clock)
    assert dead(watching, other=9) == []
    clock.now += 6
    assert dead(watching, other=1) == [], "its beat is another one"
    clock.now += 6
    assert dead(watching) == []
    assert dead(watching, other=1) == [], "it was gone, and is seen for the first time"


def test_a_watcher_that_stood_still_itself_takes_for_dead_only_those_whose_beat_did_not_grow() -> None:
    clock = Clock()
    watching = watch(clock)
    dead(watching, living=1, gone=1)
    clock.now += 3600
    assert dead(watching, living=900, gone=1) == ["gone"]


# Whose a segment is

FINGERPRINTS = st.frozensets(st.sampled_from(["f", "g", "h"]), min_size=1)
WORKERS = st.dictionaries(st.sampled_from("abcdefgh"), FINGERPRINTS, max_size=8)
SEGMENTS = st.dictionaries(st.sampled_from(["f", "g", "h"]), st.integers(1, 9))


def places(segments: dict[str, int], fingerprints: AbstractSet[str] = frozenset("fgh")) -> list[Place]:
    """What a worker of these fingerprints can run."""
    return [
        Place(f"view {fingerprint}", fingerprint, segment)
        for fingerprint in sorted(segments)
        if fingerprint in fingerprints
        for segment in range(segments[fingerprint])
    ]


@given(segments=SEGMENTS, found=WORKERS)
def test_everyone_who_looks_says_the_same_of_what_it_can_run(
    segments: dict[str, int], found: dict[str, frozenset[str]]
) -> None:
    known = [Worker(name, fingerprints) for name, fingerprints in found.items()]
    said: dict[Place, set[str | None]] = {}
    for worker in known:
        for place, owner in assigned(places(segments, worker.fingerprints), known[::-1]).items():
            said.setdefault(place, set()).add(owner)
    for place, owners in said.items():
        (owner,) = owners
        assert owner is not None
        assert place.fingerprint in found[owner]


@given(segments=SEGMENTS, count=st.integers(1, 8))
def test_workers_that_are_alike_have_as_much_as_each_other(segments: dict[str, int], count: int) -> None:
    known = [Worker(f"w{number}", frozenset("fgh")) for number in range(count)]
    owners = list(assigned(places(segments), known).values())
    shares = [owners.count(worker.id) for worker in known]
    assert max(shares) - min(shares) <= 1


def test_what_nobody_can_run_is_nobodys() -> None:
    place = Place("view", "f", 0)
    assert assigned([place], [Worker("w", frozenset(["g"]))]) == {place: None}
    assert assigned([place], []) == {place: None}


@pytest.mark.parametrize("segments", [1, 3])
def test_whoever_claims_a_projection_is_given_all_of_it_and_nothing_else(segments: int) -> None:
    known = [*[Worker(name, frozenset(["f", "g"])) for name in "abc"], Worker("z", frozenset([claim("f")]))]
    found = assigned(places({"f": segments, "g": segments}), known)
    assert {owner for place, owner in found.items() if place.fingerprint == "f"} == {"z"}
    assert "z" not in {owner for place, owner in found.items() if place.fingerprint == "g"}
