"""The rounds: contenders measured in turns, each in a fresh folder, and the ratios between them.

No contender is known here. What is measured stands in one file per bench; how it is shown, in report.py.
"""

import asyncio
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

Figures = Mapping[str, float]
"""What one measurement gives: metric to value. A bench with one metric calls it RATE."""

RATE = "rate"

DIPTYCH = "diptych"


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured. `seconds` is the length of one timed sample; `folder` lies on the disk to be measured.

    `events` is the length of the longest log, if it was asked for; `lasting` is closed when everything is measured.
    """

    folder: Path
    rounds: int
    seconds: float
    quick: bool
    events: int | None
    lasting: ExitStack

    def sized(self, full: int, quick: int) -> int:
        """A size of work: the one for a full run, or the one for a quick one."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to be measured: given an empty folder, `measure` does the work once and gives its figures."""

    name: str
    measure: Callable[[Path], Figures]


@dataclass(frozen=True, slots=True)
class Goal:
    """A line of the report: one metric of Diptych, beside another contender's, and the ratio or figure to reach.

    Without `against`, `reach` is a figure in `unit`; with it, a ratio of Diptych to the other. `at_most` tells a
    figure or ratio that should be small from one that should be large. Without `reach` the line informs. `of` names the
    contender that is Diptych, where there are several.
    """

    title: str
    unit: str
    metric: str = RATE
    beside: str | None = None
    against: str | None = None
    reach: float | None = None
    at_most: bool = False
    of: str = DIPTYCH


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, with their least and their greatest."""

    middle: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Line:
    """A goal with what was measured for it. The ratio is the median of the rounds' ratios, not a ratio of medians."""

    goal: Goal
    ours: Spread
    other_name: str | None
    other: Spread | None
    ratio: Spread | None

    @property
    def reached(self) -> bool | None:
        """Whether the goal was reached; None where there is none."""
        if self.goal.reach is None:
            return None
        found = self.ours if self.goal.against is None else self.ratio
        assert found is not None
        return found.middle <= self.goal.reach if self.goal.at_most else found.middle >= self.goal.reach


@dataclass(frozen=True, slots=True)
class Bench:
    """A named bench: `prepare` gives its contenders, Diptych among them, and its goals.

    `missing` says what it needs and cannot have here, if so.
    """

    name: str
    about: str
    prepare: Callable[[Settings], tuple[Sequence[Contender], Sequence[Goal]]]
    missing: Callable[[], str | None] = lambda: None


@dataclass(slots=True)
class Rounds:
    """The figures of all contenders, round by round."""

    figures: dict[str, list[Figures]] = field(default_factory=dict)

    def values(self, contender: str, metric: str) -> list[float]:
        """One metric of one contender, in order of rounds."""
        return [figures[metric] for figures in self.figures[contender]]

    def line(self, goal: Goal) -> Line:
        """The goal with its figures."""
        ours = self.values(goal.of, goal.metric)
        name = goal.against or goal.beside
        if name is None:
            return Line(goal, Spread.of(ours), None, None, None)
        other = self.values(name, goal.metric)
        ratio = Spread.of([a / b for a, b in zip(ours, other, strict=True)])
        return Line(goal, Spread.of(ours), name, Spread.of(other), ratio)


def run(bench: Bench, settings: Settings) -> list[Line]:
    """Measures all contenders of a bench in turns, the first of a round changing from round to round."""
    contenders, goals = bench.prepare(settings)
    rounds = Rounds({contender.name: [] for contender in contenders})
    for number in range(settings.rounds):
        shift = number % len(contenders)
        for contender in [*contenders[shift:], *contenders[:shift]]:
            rounds.figures[contender.name].append(measured(contender, settings))
    return [rounds.line(goal) for goal in goals]


def measured(contender: Contender, settings: Settings) -> Figures:
    """One measurement in a folder of its own, which is removed afterwards."""
    folder = settings.folder / "sample"
    folder.mkdir()
    try:
        return contender.measure(folder)
    finally:
        shutil.rmtree(folder)


def best(contenders: Sequence[Contender], settings: Settings) -> Contender:
    """The contender with the highest RATE in one measurement of each: a peer's own best mode, found in the same run."""
    return max(contenders, key=lambda contender: measured(contender, settings)[RATE])


async def rate_of_tasks(clients: int, seconds: float, work: Callable[[int], Awaitable[object]]) -> float:
    """Operations per second of concurrent asyncio tasks, each of which does one after the other. Warmed up before."""
    await _tasks(clients, min(seconds / 4, 0.2), work)
    return await _tasks(clients, seconds, work)


async def _tasks(clients: int, seconds: float, work: Callable[[int], Awaitable[object]]) -> float:
    now = time.perf_counter
    done = 0
    start = now()
    end = start + seconds

    async def client(number: int) -> None:
        nonlocal done
        while now() < end:
            await work(number)
            done += 1

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    return done / (now() - start)


def rate_of_threads(threads: int, seconds: float, work: Callable[[int], object]) -> float:
    """Operations per second of threads, each of which does one after the other. One runs in the caller's own thread."""
    _threads(threads, min(seconds / 4, 0.2), work)
    return _threads(threads, seconds, work)


def _threads(threads: int, seconds: float, work: Callable[[int], object]) -> float:
    now = time.perf_counter
    done = [0] * threads
    start = now()
    end = start + seconds

    def client(number: int) -> None:
        count = 0
        while now() < end:
            work(number)
            count += 1
        done[number] = count

    started = [threading.Thread(target=client, args=(number,)) for number in range(1, threads)]
    for thread in started:
        thread.start()
    client(0)
    for thread in started:
        thread.join()
    return sum(done) / (now() - start)
