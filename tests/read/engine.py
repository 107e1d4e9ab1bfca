"""How these tests have projections run: by hand, step by step, or by workers; and what they put in the way."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from diptych import Event, Projection
from diptych.log import PAGE_EVENTS, EventLog
from diptych.read import (
    UNTUNED,
    Cause,
    Fold,
    Generation,
    Hold,
    Job,
    Letter,
    NeverFilled,
    ProjectionSettings,
    ProjectionWorker,
    Projector,
    ViewShape,
    ViewStore,
)
from diptych.stores import Store
from tests.read.ledger import ACCOUNTS, Account, accounts, fold_of, standing

NewStore = Callable[[], Store]
"""Gives a store on an empty place each time."""

SHAPE = ACCOUNTS.shape
SINCE = "2026-01-31T12:00:00+00:00"
LEASE = timedelta(seconds=1)

_workers = itertools.count(1)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what it waits for may be another process's work
            await asyncio.sleep(0.005)


class Proxy:
    """Stands for a log or a read store, and changes one thing about it."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Posing(Proxy):
    """A log that has taken over another log's id, as a restored copy has."""

    def __init__(self, real: EventLog, log_id: str) -> None:
        super().__init__(real)
        self.log_id = log_id


# By hand


async def projector_of(  # noqa: PLR0913 - what a projector works with
    fold: Fold[Any],
    log: EventLog,
    views: ViewStore,
    *,
    batch: int = PAGE_EVENTS,
    segment: int = 0,
    segments: int = 1,
    max_parked: int = UNTUNED.max_parked,
) -> Projector:
    """A projector of one segment of what answers, or else is being filled; it has begun."""
    settings = ProjectionSettings(batch=batch, segments=segments, max_parked=max_parked)
    generation = await views.prepare(fold.shape, log.log_id, segments)
    projector = Projector(fold, log, views, generation.checkpoints[segment], settings)
    await projector.begin()
    return projector


async def caught_up(projector: Projector, log: EventLog) -> None:
    """Applies everything that the log has."""
    head = (await log.head()).position
    while projector.checkpoint.position < head:
        await projector.step()


async def catch_up(
    fold: Fold[Any], log: EventLog, views: ViewStore, batch: int = PAGE_EVENTS, segments: int = 1
) -> Generation:
    """Has every segment apply everything that the log has, and the generation answer."""
    generation = await views.prepare(fold.shape, log.log_id, segments)
    for segment in range(len(generation.checkpoints)):
        projector = await projector_of(fold, log, views, batch=batch, segment=segment, segments=segments)
        await caught_up(projector, log)
    assert await views.switch(fold.shape, generation.number)
    return await standing(views, fold.shape)


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncGenerator[None]:
    """Runs projectors that no worker looks after."""
    tasks = [asyncio.create_task(projector.run()) for projector in projectors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# By workers


def worker(
    log: EventLog,
    views: ViewStore,
    *folds: Fold[Any] | Job,
    me: str = "",
    lease: timedelta = LEASE,
    settings: ProjectionSettings = UNTUNED,
    **more: Any,
) -> ProjectionWorker:
    jobs = [fold if isinstance(fold, Job) else Job(fold, settings) for fold in folds]
    return ProjectionWorker(me or f"worker-{next(_workers)}", jobs, log, views, lease, **more)


@asynccontextmanager
async def working(log: EventLog, views: ViewStore, *folds: Fold[Any] | Job, **more: Any) -> AsyncGenerator[None]:
    """Has a worker run these while the context is open."""
    async with worker(log, views, *folds, **more).at_work():
        yield


async def reaches(views: ViewStore, shape: ViewShape[Any], position: int, seconds: float = 10) -> Generation:
    """Waits until what answers has come so far."""

    async def there() -> bool:
        with suppress(NeverFilled):
            generation = await standing(views, shape)
            return generation.live and generation.position >= position
        return False

    await until(there, seconds)
    return await standing(views, shape)


async def fails(views: ViewStore, shape: ViewShape[Any]) -> Generation:
    """Waits until a failure is known."""

    async def failed() -> bool:
        return (await standing(views, shape)).failure is not None

    await until(failed)
    return await standing(views, shape)


# Dead letters


class Broken(Event):
    """An event whose handler fails as it says, until it is mended."""

    key: str
    how: str = "raises"


class Fanned(Event):
    """An event of many rows, of which those named in `broken` fail until the handler is mended."""

    keys: list[str]
    broken: list[str] = []  # noqa: RUF012 - a Struct copies it


def fanned_keys(event: Fanned) -> list[str]:
    return event.keys


def _raise(row: Account) -> Account:
    raise RuntimeError("it's broken")


_FAILURES: dict[str, Callable[[Account], Any]] = {
    "raises": _raise,
    "key": lambda row: row.replace(key="another"),
    "digits": lambda row: row.replace(total=Decimal("1e-12")),
    "range": lambda row: row.replace(count=2**70),
    "type": lambda row: row.replace(count="1"),
    "nested type": lambda row: row.replace(marks=[1]),
    "text": lambda row: row.replace(marks=["\ud800"]),
    "object": lambda row: "no row",
}
WAYS = list(_FAILURES)
"""How a handler may fail."""


def broken_accounts(*, broken: bool) -> Fold[Account]:
    """The fold of accounts with handlers that fail on what their events say, or that are mended."""
    projection = Projection(Account)
    projection.handlers = list(accounts.handlers)

    @projection.on
    def account_broken(row: Account | None, event: Broken) -> Account | None:
        row = row or Account(key=event.key)
        return cast("Account", _FAILURES[event.how](row)) if broken else row.replace(count=row.count + 1)

    @projection.on(keys=fanned_keys)
    def account_fanned(row: Account | None, event: Fanned, key: str) -> Account | None:
        if broken and key in event.broken:
            raise RuntimeError(f"{key} is broken")
        row = row or Account(key=key)
        return row.replace(count=row.count + 1)

    return fold_of(projection, [Broken, Fanned])


BROKEN = broken_accounts(broken=True)
MENDED = broken_accounts(broken=False)


def hold(key: Any, shape: ViewShape[Any] = SHAPE) -> Hold:
    return Hold(shape.key_text(key))


async def letters(views: ViewStore, shape: ViewShape[Any] = SHAPE, of: Hold | None = None) -> list[Letter]:
    """What is parked in what answers, or is being filled."""
    return [letter for _, letter in await views.letters(shape, (await standing(views, shape)).number, of)]


async def parked(views: ViewStore, shape: ViewShape[Any] = SHAPE) -> list[tuple[str, int]]:
    """What is parked: what each letter is for, and its position."""
    return [
        (letter.hold.stream or letter.hold.key.strip('"'), letter.position) for letter in await letters(views, shape)
    ]


def cause_of(letter: Letter) -> Cause:
    assert letter.cause is not None
    return letter.cause
