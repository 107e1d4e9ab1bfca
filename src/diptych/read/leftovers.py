"""Which generations of a view nobody needs any more: what is left of versions of the code that run nowhere now.

A deployment that is replaced leaves its generation behind. Nothing here looks at the time of others: a segment whose
epoch has not changed between two looks was nobody's in between.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from diptych.read.checkpoint import Generation, State
from diptych.read.leases import claim
from diptych.read.workers import Worker

_Seen = tuple[tuple[int, ...], float]
"""The epochs of a generation's segments, and when they were first seen so, all free."""


class Leftovers:
    """Watches the generations of views; `clock` counts seconds."""

    def __init__(self, lease: timedelta, clock: Callable[[], float]) -> None:
        self._lease = lease.total_seconds()
        self._clock = clock
        self._looked: dict[str, float] = {}
        self._seen: dict[tuple[str, int], _Seen] = {}

    def due(self, view: str) -> bool:
        """Whether the view is to be looked at again: once in a lease's time is enough."""
        return self._clock() - self._looked.get(view, -self._lease) >= self._lease

    def found(
        self, view: str, generations: Sequence[Generation], live: Generation, workers: Sequence[Worker]
    ) -> list[Generation]:
        """The older generations of other code than the `live` one's, which nobody has owned for a lease's time.

        One that was kept stays, and one that a worker could run, even if it does not now.
        """
        now = self._clock()
        self._looked[view] = now
        over: list[Generation] = []
        for one in generations:
            key = (view, one.number)
            other = one.number < live.number and one.fingerprint != live.fingerprint and one.state is not State.KEPT
            if not other or one.free < len(one.checkpoints) or _can_run(one.fingerprint, workers):
                self._seen.pop(key, None)
                continue
            epochs = tuple([at.epoch for at in one.checkpoints])
            before, since = self._seen.get(key, ((), now))
            self._seen[key] = (epochs, since if before == epochs else now)
            if before == epochs and now - since >= self._lease:
                over.append(one)
        return over


def _can_run(fingerprint: str, workers: Sequence[Worker]) -> bool:
    return any(fingerprint in worker.fingerprints or claim(fingerprint) in worker.fingerprints for worker in workers)
