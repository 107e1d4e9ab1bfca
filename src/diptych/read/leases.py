"""Which segments a worker is to have, and which workers are dead. Decisions alone: a store keeps the leases.

A worker is alive as long as its beat grows, by the clock of whoever watches. To be wrong about that costs a handover
and nothing else: a segment's epoch fences off the worker before.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from zlib import crc32

from diptych.read.workers import Worker

LEASE = timedelta(seconds=5)
"""How long a worker's beat may stand still before others take its segments, unless told otherwise."""


class Place(NamedTuple):
    """A segment of a projection; `fingerprint` is what workers that can run it are told by."""

    view: str
    fingerprint: str
    segment: int


class _Seen(NamedTuple):
    beat: int
    since: float


class Watch:
    """Watches the beats of others.

    `gone` tells of a worker that it has ended, where that can be known; `clock` counts seconds.
    """

    def __init__(self, me: str, lease: timedelta, gone: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._me = me
        self._lease = lease.total_seconds()
        self._gone = gone
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def dead(self, workers: Sequence[Worker]) -> list[Worker]:
        """Those of the workers that have ended, or whose beat has stood still for the lease's time."""
        now = self._clock()
        before = self._seen
        self._seen = {
            worker.id: seen
            if (seen := before.get(worker.id)) is not None and seen.beat == worker.beat
            else _Seen(worker.beat, now)
            for worker in workers
        }
        return [
            worker
            for worker in workers
            if worker.id != self._me and (now - self._seen[worker.id].since > self._lease or self._gone(worker.id))
        ]


def claim(fingerprint: str) -> str:
    """What a worker says that it can run to get every segment of a projection: those who have them give them up."""
    return f"{fingerprint} alone"


def keeping(fingerprint: str) -> str:
    """What a worker says that it can run if its code has appends keep the view in step with the log."""
    return f"{fingerprint} in step"


def assigned(places: Sequence[Place], workers: Sequence[Worker]) -> Mapping[Place, str | None]:
    """Whose each place is: they go round among the workers that can run it, so that everyone who looks says the same.

    `places` are all that one worker can run, in order. None for one that nobody can run. Whoever claims a projection's
    code gets all of it.
    """
    ordered = sorted(workers, key=lambda worker: worker.id)
    owners: dict[Place, str | None] = {}
    for number, place in enumerate(places):
        able = [worker for worker in ordered if claim(place.fingerprint) in worker.fingerprints]
        able = able or [worker for worker in ordered if place.fingerprint in worker.fingerprints]
        alike = len({worker.fingerprints for worker in able}) == 1  # they count the same places
        turn = number if alike else crc32(place.view.encode()) + place.segment
        owners[place] = able[turn % len(able)].id if able else None
    return owners
