"""How a view stands, in values: its position, its lag, and what keeps it from going on."""

from datetime import timedelta
from typing import NamedTuple

from diptych.read.checkpoint import Generation, Pause


class Lag(NamedTuple):
    """By how much an answer trails the log: events, and the age of the oldest of them."""

    events: int
    time: timedelta


NO_LAG = Lag(0, timedelta(0))


class Standing(NamedTuple):
    """How a view stands: the position that it has reached, its lag, and why it stands still, if it does.

    `generation` is None for a view that was never filled, or that other code fills. `letters` counts its dead letters.
    """

    view: str
    position: int
    lag: Lag
    failure: str | None
    generation: Generation | None = None
    letters: int = 0

    @property
    def pause(self) -> Pause | None:
        """Since when it is paused, and why."""
        return None if self.generation is None else self.generation.pause

    @property
    def number(self) -> int:
        """The number of its generation, 0 where there is none."""
        return 0 if self.generation is None else self.generation.number

    @property
    def parked(self) -> int:
        """How many keys dead letters hold back."""
        return 0 if self.generation is None else self.generation.parked

    @property
    def free(self) -> int:
        """How many of its segments no worker has."""
        return 0 if self.generation is None else self.generation.free
