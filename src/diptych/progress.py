"""How far long work has come, shown to whoever waits: a bar on a terminal, a plain line now and then elsewhere.

All of it goes to stderr; stdout is for what the work gives. `rich` is imported only where a bar is drawn.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID

TICK = timedelta(milliseconds=100)
LINE_EVERY = timedelta(seconds=2)


class Progress(Protocol):
    """A place to show progress; entered before the first word and left after the last."""

    def note(self, text: str) -> None:
        """Says a sentence."""
        ...

    def show(self, stage: str, done: int, total: int | None) -> None:
        """Shows how much of a stage is done, of a total if there is one that is known.

        The first call of a stage starts its clock, and says where it begins.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class Silence:
    """Shows nothing."""

    def note(self, text: str) -> None:
        pass

    def show(self, stage: str, done: int, total: int | None) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Stage(NamedTuple):
    """Where a stage began and when, when it was last told of, and whether it is finished."""

    first: int
    began: float
    said: float
    finished: bool = False


class Lines(Silence):
    """A line about every two seconds for each stage, and one at its end."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = monotonic) -> None:
        self._out = out
        self._clock = clock
        self._stages: dict[str, _Stage] = {}

    def note(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def show(self, stage: str, done: int, total: int | None) -> None:
        now = self._clock()
        known = self._stages.setdefault(stage, _Stage(done, now, now))
        due = now - known.said >= LINE_EVERY.total_seconds()
        finished = total is not None and done >= total
        if (due or finished) and not known.finished:
            self._stages[stage] = known._replace(said=now, finished=finished)
            self.note(line(stage, done, total, done - known.first, now - known.began))


def line(stage: str, done: int, total: int | None, lately: int, seconds: float) -> str:
    """A stage in words, with its rate and, unless it is finished, the time left; both from what was done lately."""
    words = f"{stage}: {done:,}"
    if total is not None:
        words += f" of {total:,} ({done / total if total else 1:.0%})"
    if lately and seconds > 0:
        words += f", {lately / seconds:,.0f}/s"
        if total is not None and done < total:
            words += f", {(total - done) * seconds / lately:.0f} s left"
    return words


class Bar(Silence):
    """A bar for each stage, with rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to import, and only a terminal needs it
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", justify="right"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._stages: dict[str, tuple[TaskID, int, float]] = {}

    def note(self, text: str) -> None:
        self._bars.console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def show(self, stage: str, done: int, total: int | None) -> None:
        now = monotonic()
        if stage not in self._stages:
            self._stages[stage] = self._bars.add_task(stage, total=total, completed=done, rate=""), done, now
        task, first, began = self._stages[stage]
        rate = f"{(done - first) / (now - began):,.0f}/s" if done > first and now > began else ""
        self._bars.update(task, completed=done, total=total, rate=rate, refresh=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()


def progress_on(out: TextIO) -> Progress:
    """What suits the place: a bar on a terminal, lines elsewhere."""
    return Bar() if out is sys.stderr and out.isatty() else Lines(out)


@asynccontextmanager
async def shown(
    progress: Progress, stage: str, done: Callable[[], int], total: Callable[[], int | None]
) -> AsyncGenerator[None]:
    """Shows a stage's progress while the body runs, and its end after it. The total may grow meanwhile."""

    async def ticking() -> None:
        while True:
            progress.show(stage, done(), total())
            await asyncio.sleep(TICK.total_seconds())

    ticker = asyncio.create_task(ticking())
    try:
        yield
        progress.show(stage, done(), total())
    finally:
        ticker.cancel()
        await asyncio.wait((ticker,))
