"""Views in memory: rows in dicts, copied on every commit so that a snapshot stays what it was."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from diptych.log import BEGINNING, Anchor, Bell
from diptych.messages import View
from diptych.read import Checkpoint, Failure, Generation, Key, Snapshot, Superseded, ViewShape
from diptych.stores.memory.snapshot import HeldGeneration, MemorySnapshot

V = TypeVar("V", bound=View)


HeldView = Mapping[int, HeldGeneration]
"""The generations of a view by epoch, in order of their epochs: never changed, only replaced."""


class HeldViews:
    """What a store of views in memory holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.views: dict[str, HeldView] = {}
        self.paused: dict[str, str] = {}
        self.bells: dict[str, Bell] = {}


class MemoryViews:
    """See `diptych.read.ViewStore`."""

    def __init__(self, held: HeldViews) -> None:
        self._held = held

    # Generations

    async def prepare(self, shape: ViewShape[Any], log_id: str) -> Checkpoint:
        with self._held.lock:
            view = self._view(shape)
            fitting = [one for one in view.values() if one.about.fits(shape, log_id)]
            for one in fitting:
                if one.about.live:
                    return self._checkpoint(shape, one)
            ready = fitting[0] if fitting else _empty(shape, log_id, view)
            self._go_live(shape, ready)
        self._wake_all(shape)
        return self._checkpoint(shape, ready)

    async def begin(self, shape: ViewShape[Any], log_id: str, *, anew: bool = False) -> Checkpoint:
        with self._held.lock:
            view = self._view(shape)
            for one in view.values():
                if one.about.fits(shape, log_id) and not one.about.live and not anew:
                    return self._checkpoint(shape, one)
            begun = _empty(shape, log_id, view)
            live = {epoch: one for epoch, one in view.items() if one.about.live}
            self._held.views[shape.name] = {**live, begun.about.checkpoint.epoch: begun}
            return self._checkpoint(shape, begun)

    async def switch(self, shape: ViewShape[Any], at: Checkpoint) -> bool:
        with self._held.lock:
            view = self._view(shape)
            ready = view.get(at.epoch)
            if ready is None or shape.name in self._held.paused:
                raise Superseded(f"generation {at.epoch} of {shape.name} is {'paused' if ready else 'gone'}")
            live = next((one.about for one in view.values() if one.about.live), None)
            if ready.about.live or not ready.about.may_replace(live):
                return ready.about.live
            self._go_live(shape, ready)
        self._wake_all(shape)
        return True

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        with self._held.lock:
            return [one.about._replace(checkpoint=self._checkpoint(shape, one)) for one in self._view(shape).values()]

    async def pause(self, shape: ViewShape[Any], since: str) -> str | None:
        with self._held.lock:
            before = self._held.paused.get(shape.name)
            self._held.paused.setdefault(shape.name, since)
        self._wake_all(shape)
        return before

    async def resume(self, shape: ViewShape[Any]) -> str | None:
        with self._held.lock:
            return self._held.paused.pop(shape.name, None)

    # Writing

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        held = self._view(shape).get(at.epoch)
        if held is None:
            raise Superseded(f"generation {at.epoch} of {shape.name} is gone")
        return {key: held.rows[key] for key in keys if key in held.rows}

    async def commit(
        self, shape: ViewShape[V], changes: Mapping[Key, V | None], at: Checkpoint, upto: Anchor
    ) -> Checkpoint:
        for row in changes.values():
            if row is not None:
                shape.check(row)
        with self._held.lock:
            held = self._find(shape, at)
            if held is None or shape.name in self._held.paused:
                raise Superseded(f"generation {at.epoch} of {shape.name} is not at {at.position} any more, or paused")
            changed = {key: row for key, row in changes.items() if row is not None}
            rows = (
                {key: row for key, row in held.rows.items() if key not in changes} | changed if changes else held.rows
            )
            checkpoint = Checkpoint(at.log_id, upto, at.epoch)
            self._keep(shape, HeldGeneration(held.about._replace(checkpoint=checkpoint), rows))
        if held.about.live:
            self._bell(shape).ring(upto.position)
        return checkpoint

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        with self._held.lock:
            if (held := self._find(shape, at)) is not None:
                failed = held.about.checkpoint._replace(failure=failure)
                self._keep(shape, held._replace(about=held.about._replace(checkpoint=failed)))
        self._wake_all(shape)
        return at._replace(failure=failure)

    # Reading

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        with self._held.lock:
            views = {name: _live(view) for name, view in self._held.views.items()}
            paused = dict(self._held.paused)
        yield MemorySnapshot({name: live for name, live in views.items() if live is not None}, paused)

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        live = _live(self._view(shape))
        if live is not None:
            checkpoint = self._checkpoint(shape, live)
            if checkpoint.position >= position or checkpoint.hindrance is not None:
                return True
        bell, patience = self._bell(shape), min(timeout, timedelta(milliseconds=20))
        if bell.position < position:
            return await bell.reached(position, patience)
        await asyncio.sleep(patience.total_seconds())  # it was rung for a generation that was replaced
        return False

    def _view(self, shape: ViewShape[Any]) -> HeldView:
        return self._held.views.get(shape.name, {})

    def _checkpoint(self, shape: ViewShape[Any], held: HeldGeneration) -> Checkpoint:
        return held.about.checkpoint._replace(paused=self._held.paused.get(shape.name))

    def _find(self, shape: ViewShape[Any], at: Checkpoint) -> HeldGeneration | None:
        """The generation of a checkpoint, if it is still there."""
        held = self._view(shape).get(at.epoch)
        return held if held is not None and held.about.checkpoint.position == at.position else None

    def _keep(self, shape: ViewShape[Any], held: HeldGeneration) -> None:
        self._held.views[shape.name] = {**self._view(shape), held.about.checkpoint.epoch: held}

    def _go_live(self, shape: ViewShape[Any], held: HeldGeneration) -> None:
        live = held._replace(about=held.about._replace(live=True))
        self._held.views[shape.name] = {held.about.checkpoint.epoch: live}

    def _bell(self, shape: ViewShape[Any]) -> Bell:
        return self._held.bells.setdefault(shape.name, Bell())

    def _wake_all(self, shape: ViewShape[Any]) -> None:
        if (old := self._held.bells.pop(shape.name, None)) is not None:
            old.ring(2**63)


def _live(view: HeldView) -> HeldGeneration | None:
    return next((one for one in view.values() if one.about.live), None)


def _empty(shape: ViewShape[Any], log_id: str, view: HeldView) -> HeldGeneration:
    checkpoint = Checkpoint(log_id, BEGINNING, max(view, default=0) + 1)
    return HeldGeneration(Generation(shape.fingerprint, live=False, checkpoint=checkpoint), {})
