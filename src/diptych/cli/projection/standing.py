"""How a view stands, as `diptych projection status` gives it to programs: everything, under names that stay."""

from collections.abc import Sequence

import msgspec

from diptych.cli.projection.looks import Look, Looks
from diptych.read import Checkpoint, Failure, Generation, Held, Mode, Pause, Standing, State

LIVE, IN_STEP, LAGGING, PARKED, FILLING, PAUSED = "live", "in step", "lagging", "parked", "filling", "paused"
STANDS_STILL, NEVER_FILLED = "stands still", "never filled"

NEEDS_SOMEBODY = (PARKED, PAUSED, STANDS_STILL, NEVER_FILLED)
"""States that nothing leads out of but a person."""


class Segment(msgspec.Struct, frozen=True):
    """A share of a view's keys. `owner` is null where no worker has it, and `silent` says that the owner is dead."""

    segment: int
    position: int
    epoch: int
    owner: str | None
    silent: bool
    parked_keys: int
    failure: Failure | None

    @property
    def at_work(self) -> bool:
        return self.owner is not None and not self.silent


class FirstLetter(msgspec.Struct, frozen=True):
    """The dead letter that has waited the longest. `key` is JSON; empty where a whole `stream` is held back."""

    position: int
    type: str
    key: str
    stream: str
    error: str | None
    since: str


class Other(msgspec.Struct, frozen=True):
    """A generation that does not answer here: unfinished, kept, or another version's of the code."""

    generation: int
    state: str
    this_version: bool
    position: int
    parked_keys: int


class Row(msgspec.Struct, frozen=True):
    """How one view stands. What a view has not, as one that was never filled has no generation, is null."""

    view: str
    state: str
    mode: Mode
    generation: int | None
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    rate: float | None
    dead_letters: int
    parked_keys: int
    first_letter: FirstLetter | None
    failure: Failure | None
    pause: Pause | None
    reason: str | None
    segments: Sequence[Segment]
    others: Sequence[Other]

    @property
    def idle(self) -> Sequence[Segment]:
        """The segments that nobody projects."""
        return [segment for segment in self.segments if not segment.at_work]

    @property
    def needs_somebody(self) -> bool:
        """Whether it does not come right without a person."""
        return self.state in NEEDS_SOMEBODY or (self.state not in {LIVE, IN_STEP} and bool(self.idle))


def rows_of(looks: Looks) -> list[Row]:
    """The views in the order of their context."""
    return [row(standing, looks) for standing in looks.last.standings]


def row(standing: Standing, looks: Looks) -> Row:
    """What there is to say about one view."""
    look, generation = looks.last, standing.generation
    held = look.held.get(standing.view)
    return Row(
        view=standing.view,
        state=state(standing, look),
        mode="sync" if standing.view in look.sync else "async",
        generation=None if generation is None else generation.number,
        position=standing.position,
        head=max(look.head, standing.position),
        lag_events=standing.lag.events,
        lag_seconds=round(standing.lag.time.total_seconds(), 3),
        rate=None if generation is None else rounded(looks.rate(standing.view, generation.number)),
        dead_letters=standing.letters,
        parked_keys=standing.parked,
        first_letter=None if held is None else first_letter(held),
        failure=None if generation is None else generation.failure,
        pause=standing.pause,
        reason=standing.failure,
        segments=[] if generation is None else [segment(at, looks) for at in generation.checkpoints],
        others=[other(one, generation) for one in look.generations[standing.view] if not same(one, generation)],
    )


def state(standing: Standing, look: Look) -> str:
    """The most that is wrong with a view, in a word or two."""
    generation = standing.generation
    if generation is None:
        return NEVER_FILLED
    if standing.failure is not None:
        return STANDS_STILL
    if standing.pause is not None:
        return PAUSED
    if generation.state is State.FILLING:
        return FILLING
    if standing.parked:
        return PARKED
    if standing.lag.events:
        return LAGGING
    return IN_STEP if look.in_step.get(standing.view) == generation.fingerprint else LIVE


def segment(at: Checkpoint, looks: Looks) -> Segment:
    silent = at.owner is not None and looks.silent(at.owner)
    return Segment(at.segment, at.position, at.epoch, at.owner, silent, at.parked, at.failure)


def first_letter(held: Held) -> FirstLetter:
    first = held.first
    error = None if first.cause is None else first.cause.error
    return FirstLetter(first.position, first.type, held.hold.key, held.hold.stream, error, first.parked_at)


def other(one: Generation, mine: Generation | None) -> Other:
    this = mine is not None and one.fingerprint == mine.fingerprint
    return Other(one.number, one.state.value, this, one.position, one.parked)


def same(one: Generation, other: Generation | None) -> bool:
    return other is not None and one.number == other.number


def rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)
