"""What tests of projections into tables of one's own share: how they are run, and what they have to come to."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from diptych import App, BoundedContext
from diptych.log import EventLog
from diptych.read import (
    Generation,
    TableFold,
    ViewStore,
)
from diptych.stores import store_at
from tests.read.engine import until
from tests.tables.takings import Closed, Sales, Sell, Sold, Taken, takings


def fold_of(context: BoundedContext = takings) -> TableFold:
    (fold,) = context.folds
    assert isinstance(fold, TableFold)
    return fold


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[tuple[EventLog, ViewStore]]:
    store = store_at(url)
    async with store.log() as log, store.views() as views:
        yield log, views


async def sell(app: App, sales: Sequence[tuple[str, int]]) -> None:
    for till, cents in sales:
        await app.execute(Sell(till=till, cents=cents))


async def applied(app: App) -> Generation:
    """Waits until all that there is has been applied or parked."""

    async def level() -> bool:
        (standing,) = await app.standings()
        return standing.generation is not None and standing.generation.live and standing.lag.events == 0

    await until(level, 20)
    (standing,) = await app.standings()
    assert standing.generation is not None
    return standing.generation


async def check_whole(app: App) -> None:
    """The tables are what the log says, each event in its turn and once."""
    cents: dict[str, int] = {}
    lines: list[tuple[int, str, int]] = []
    async for record in app.events():
        match record.event:
            case Sold(till=till, cents=more):
                cents[till] = cents.get(till, 0) + more
                lines.append((record.position, till, cents[till]))
            case Closed(till=till):
                cents.pop(till, None)
    token = await app.token()
    assert await app.ask(Taken(), after=token) == cents
    assert await app.ask(Sales(), after=token) == lines
