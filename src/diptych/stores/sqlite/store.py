"""A store on SQLite files: what a `sqlite:///` URL names, ready to be opened in any number of event loops."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from diptych.errors import Unavailable
from diptych.log import UNOBSERVED, Bell, EventLog, LogObserver
from diptych.read import NOBODY, InStep
from diptych.stores.sqlite.bells import ViewBells
from diptych.stores.sqlite.files import IN_STEP_FILE, VIEWS_FILE
from diptych.stores.sqlite.log import SqliteLog, wall_clock
from diptych.stores.sqlite.snapshots import SqliteSnapshots
from diptych.stores.sqlite.views import SqliteViews


class SqliteStore:
    """See `diptych.stores.Store`. What is opened from one store wakes each other without polling."""

    shared = True
    apart = True

    def __init__(self, path: Path, clock: Callable[[], int] = wall_clock) -> None:
        self.path = path
        self._clock = clock
        self._bell = Bell()
        self._view_bells = ViewBells()
        self._bells_in_step = ViewBells()

    @property
    def views_path(self) -> Path:
        """The file of the views, beside the log's."""
        return self._beside("views")

    @property
    def snapshots_path(self) -> Path:
        """The file of the snapshots, beside the log's."""
        return self._beside("snapshots")

    def must_exist(self) -> None:
        try:
            size = self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise Unavailable(f"{self.path} does not exist.") from None
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be read: {error.strerror}.") from None
        if size == 0:
            raise Unavailable(f"{self.path} is empty.")

    @asynccontextmanager
    async def log(
        self, observer: LogObserver = UNOBSERVED, context: str | None = None, in_step: InStep = NOBODY
    ) -> AsyncGenerator[SqliteLog]:
        log = await asyncio.to_thread(
            SqliteLog, self.path, self._bell, self._clock, observer, context, in_step, self._bells_in_step
        )
        try:
            yield log
        finally:
            await log.close()

    @asynccontextmanager
    async def views(self, *, in_step: bool = False) -> AsyncGenerator[SqliteViews]:
        path, bells = (self.path, self._bells_in_step) if in_step else (self.views_path, self._view_bells)
        views = await asyncio.to_thread(SqliteViews, path, bells, IN_STEP_FILE if in_step else VIEWS_FILE)
        try:
            yield views
        finally:
            await views.close()

    @asynccontextmanager
    async def snapshots(self, log: EventLog, /) -> AsyncGenerator[SqliteSnapshots]:
        snapshots = SqliteSnapshots(self.snapshots_path, log)
        try:
            yield snapshots
        finally:
            await snapshots.close()

    def _beside(self, what: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{what}{self.path.suffix}")
