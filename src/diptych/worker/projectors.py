"""Runs projectors beside the application, on an event loop of their own: no fold holds up a request."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from diptych.read import LEASE, Job, ProjectionWorker, Watch
from diptych.stores import Store
from diptych.worker.identity import gone, new_identity
from diptych.worker.parting import Parting


@asynccontextmanager
async def projectors_beside(store: Store, jobs: Sequence[Job], lease: timedelta = LEASE) -> AsyncGenerator[None]:
    """Runs a worker for the jobs while the context is open. It opens when every view is ready to be filled.

    `lease` is how long another worker may be silent before this one takes its segments.

    Raises what the store raises when it is opened.
    """
    if not jobs:
        yield
        return
    thread = _ProjectorThread(store, jobs, lease)
    loop = asyncio.get_running_loop()
    beginning = loop.run_in_executor(None, thread.begin)
    try:
        await asyncio.shield(beginning)
        yield
    finally:
        await asyncio.wait([beginning])
        if beginning.exception() is None:
            await loop.run_in_executor(None, thread.end)


class _ProjectorThread:
    def __init__(self, store: Store, jobs: Sequence[Job], lease: timedelta) -> None:
        self._store = store
        self._jobs = jobs
        self._lease = lease
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="diptych-projectors", daemon=True)

    def begin(self) -> None:
        """Starts the thread and waits until the views are ready. Raises what went wrong on the way there."""
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def end(self) -> None:
        """Stops the worker between two pages, and waits for that."""
        assert self._loop is not None  # noqa: S101 - it has begun
        assert self._stop is not None  # noqa: S101 - it has begun
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - it is raised where the thread was begun
            self._error = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(self._store.log())
            views = await stack.enter_async_context(self._store.views())
            kept = await stack.enter_async_context(self._store.views(in_step=True)) if self._store.apart else views
            following = [job for job in self._jobs if not job.fold.shape.sync]
            in_step = [job for job in self._jobs if job.fold.shape.sync]
            for jobs, place in ((following, views), (in_step, kept)) if self._store.apart else ((self._jobs, views),):
                if jobs:
                    worker = ProjectionWorker(new_identity(), jobs, log, place, self._lease, gone)
                    await stack.enter_async_context(worker.at_work())
            watch = Watch("", self._lease, gone, time.monotonic)
            parting = asyncio.create_task(Parting(following, log, views, kept, watch).run())
            self._started.set()
            await self._stop.wait()
            parting.cancel()
            await asyncio.gather(parting, return_exceptions=True)
