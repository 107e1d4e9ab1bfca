"""Views in two places, read as if they were in one: those that are kept in step with the log, and the others."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from diptych.messages import View
from diptych.read.checkpoint import Generation
from diptych.read.letters import Letter
from diptych.read.shape import Key, ViewShape
from diptych.read.store import Selector, Snapshot

V = TypeVar("V", bound=View)


class ReadableViews(Protocol):
    """What queries need of a read store: see `ViewStore`."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """A snapshot to read under."""
        ...

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        """Waits until the live generation may have reached the position, or cannot, or the time is over."""
        ...


class TwoPlaces:
    """Reads each view where it is. A snapshot of a place is taken with the first view that is read there."""

    def __init__(self, following: ReadableViews, in_step: ReadableViews) -> None:
        self._following = following
        self._in_step = in_step

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        async with AsyncExitStack() as stack:
            yield _TwoSnapshots(stack, self._following, self._in_step)

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        place = self._in_step if shape.sync else self._following
        return await place.reached(shape, position, timeout)


class _TwoSnapshots:
    """See `Snapshot`. SQL reads the views that follow the log."""

    def __init__(self, stack: AsyncExitStack, following: ReadableViews, in_step: ReadableViews) -> None:
        self._stack = stack
        self._places = {False: following, True: in_step}
        self._taken: dict[bool, Snapshot] = {}

    async def _of(self, *, sync: bool) -> Snapshot:
        if sync not in self._taken:
            self._taken[sync] = await self._stack.enter_async_context(self._places[sync].snapshot())
        return self._taken[sync]

    async def generation(self, shape: ViewShape[Any]) -> Generation:
        return await (await self._of(sync=shape.sync)).generation(shape)

    async def held(self, shape: ViewShape[Any], keys: Collection[str] | None, upto: int) -> Letter | None:
        return await (await self._of(sync=shape.sync)).held(shape, keys, upto)

    async def dead_letters(self, shape: ViewShape[Any], after: int = 0, upto: int | None = None) -> int:
        return await (await self._of(sync=shape.sync)).dead_letters(shape, after, upto)

    async def get_many(self, shape: ViewShape[V], keys: Sequence[Key]) -> Mapping[Key, V]:
        return await (await self._of(sync=shape.sync)).get_many(shape, keys)

    async def select(self, shape: ViewShape[V], selector: Selector) -> list[V]:
        return await (await self._of(sync=shape.sync)).select(shape, selector)

    async def count(self, shape: ViewShape[Any], selector: Selector) -> int:
        return await (await self._of(sync=shape.sync)).count(shape, selector)

    async def total(self, shape: ViewShape[Any], field: str, selector: Selector) -> Any:
        return await (await self._of(sync=shape.sync)).total(shape, field, selector)

    async def sql(self, statement: str, binds: Mapping[str, object]) -> list[dict[str, Any]]:
        return await (await self._of(sync=False)).sql(statement, binds)
