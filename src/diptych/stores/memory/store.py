"""A store in memory: what `memory://` names, ready to be opened in any number of event loops of one process."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from diptych.errors import Unavailable
from diptych.log import UNOBSERVED, EventLog, LogObserver
from diptych.read import NOBODY, InStep
from diptych.stores.memory.held import HeldViews
from diptych.stores.memory.log import MemoryEvents, MemoryLog
from diptych.stores.memory.snapshots import HeldSnapshots, MemorySnapshots
from diptych.stores.memory.views import MemoryViews
from diptych.stores.owner import check_owner


class MemoryStore:
    """See `diptych.stores.Store`. Each one is empty at first and is gone with its last user."""

    shared = False
    apart = False

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._events = MemoryEvents()
        self._views = HeldViews()
        self._snapshots: HeldSnapshots = {}

    def must_exist(self) -> None:
        if not self._events.events:
            raise Unavailable("A store in memory is empty at first, and gone with its process.")

    @asynccontextmanager
    async def log(
        self, observer: LogObserver = UNOBSERVED, context: str | None = None, in_step: InStep = NOBODY
    ) -> AsyncGenerator[MemoryLog]:
        if context is not None:
            self._events.context = self._events.context or context
            check_owner("This store in memory", self._events.context, context)
        log = MemoryLog(self._events, self._clock, observer, in_step, self._views)
        try:
            yield log
        finally:
            await log.close()

    @asynccontextmanager
    async def views(self, *, in_step: bool = False) -> AsyncGenerator[MemoryViews]:
        yield MemoryViews(self._views)

    @asynccontextmanager
    async def snapshots(self, log: EventLog, /) -> AsyncGenerator[MemorySnapshots]:
        yield MemorySnapshots(self._snapshots, log)
