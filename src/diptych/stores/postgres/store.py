"""A store on PostgreSQL: what a `postgresql://` URL names, ready to be opened in any number of event loops."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from diptych.log import UNOBSERVED, Bell, EventLog, LogObserver
from diptych.read import NOBODY, InStep
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.bells import ViewBells
from diptych.stores.postgres.log import PostgresLog
from diptych.stores.postgres.schema import migrate
from diptych.stores.postgres.snapshots import PostgresSnapshots
from diptych.stores.postgres.views import PostgresViews


class PostgresStore:
    """See `diptych.stores.Store`. Its tables are made by `migrate`, never by opening it.

    Times are the server's, unless a `clock` gives them, in microseconds since 1970. Raises Malformed.
    """

    shared = True
    apart = False

    def __init__(self, url: str, clock: Callable[[], int] | None = None) -> None:
        self.address = address_of(url)
        self._clock = clock
        self._bell = Bell()
        self._view_bells = ViewBells()

    def must_exist(self) -> None:
        """Opening makes nothing here, and says itself what is missing."""

    async def migrate(self) -> list[str]:
        """Brings the tables to this version, and gives the names of the migrations that it took."""
        return [f"{migration.number:04} {migration.name}" for migration in await migrate(self.address)]

    @asynccontextmanager
    async def log(
        self, observer: LogObserver = UNOBSERVED, context: str | None = None, in_step: InStep = NOBODY
    ) -> AsyncGenerator[PostgresLog]:
        log = PostgresLog(self.address, self._bell, self._clock, observer, in_step, self._view_bells)
        try:
            await log.begin(context)
            yield log
        finally:
            await log.close()

    @asynccontextmanager
    async def views(self, *, in_step: bool = False) -> AsyncGenerator[PostgresViews]:
        views = PostgresViews(self.address, self._view_bells)
        try:
            await views.open()
            yield views
        finally:
            await views.close()

    @asynccontextmanager
    async def snapshots(self, _: EventLog, /) -> AsyncGenerator[PostgresSnapshots]:
        snapshots = PostgresSnapshots(self.address)
        try:
            yield snapshots
        finally:
            await snapshots.close()
