"""Views in memory: rows in dicts, copied on every commit so that a snapshot stays what it was."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from diptych.errors import Malformed
from diptych.log import Anchor
from diptych.messages import View
from diptych.read import (
    Changes,
    Checkpoint,
    Failure,
    Generation,
    Held,
    Hold,
    Key,
    Letter,
    Pause,
    Registered,
    Skip,
    Snapshot,
    Superseded,
    TableChanges,
    TableShape,
    ViewShape,
    Withheld,
    Worker,
)
from diptych.stores.memory.held import (
    HeldGeneration,
    HeldViews,
    answering,
    copied_onto,
    empty,
    live_of,
    moved,
    resegmented,
    unfinished,
)
from diptych.stores.memory.snapshot import MemorySnapshot

V = TypeVar("V", bound=View)

POLL = timedelta(milliseconds=20)
"""How long a waiting query rests at most before it looks again."""


class MemoryViews:
    """See `diptych.read.ViewStore`."""

    def __init__(self, held: HeldViews) -> None:
        self._held = held

    # Generations

    async def prepare(self, shape: ViewShape[Any], log_id: str, segments: int = 1) -> Generation:
        _check_kind(shape)
        with self._held.lock:
            fitting = [one for one in self._held.of(shape) if one.about.fits(shape, log_id)]
            found = live_of(fitting, shape) or unfinished(fitting, shape)
            return self._shown(shape, found or self._begin(shape, log_id, segments))

    async def begin(
        self,
        shape: ViewShape[Any],
        log_id: str,
        segments: int = 1,
        *,
        anew: bool = False,
        onto: Anchor | None = None,
    ) -> Generation:
        _check_kind(shape)
        with self._held.lock:
            if onto is not None:
                return self._shown(shape, self._copy(shape, log_id, segments, onto))
            found = unfinished(self._held.of(shape), shape)
            if found is not None and found.about.log_id == log_id and not anew:
                return self._shown(shape, found)
            return self._shown(shape, self._begin(shape, log_id, segments))

    async def switch(self, shape: ViewShape[Any], number: int, *, keep: bool = False) -> bool:
        with self._held.lock:
            ready = self._held.find(shape, number)
            if ready is None or shape.name in self._held.pauses:
                raise Superseded(f"generation {number} of {shape.name} is {'paused' if ready else 'gone'}")
            live = live_of(self._held.of(shape), shape)
            if ready.about.live or not ready.about.may_replace(None if live is None else live.about):
                return ready.about.live
            self._held.go_live(shape, ready, live, keep=keep)
        self._wake_all(shape)
        return True

    async def complete(self, shape: ViewShape[Any], number: int) -> None:
        """There are no indexes in memory."""

    async def drop(self, shape: ViewShape[Any], number: int) -> bool:
        with self._held.lock:
            found = self._held.find(shape, number)
            if found is not None and found.about.live and found.about.fingerprint == shape.fingerprint:
                raise Superseded(f"generation {number} of {shape.name} is live")
            if found is not None:
                self._held.remove(shape, number)
        return found is not None

    async def generations(self, shape: ViewShape[Any]) -> Sequence[Generation]:
        with self._held.lock:
            return [self._shown(shape, one) for one in self._held.of(shape)]

    async def resegment(self, shape: ViewShape[Any], at: Sequence[Checkpoint], segments: int) -> Generation:
        with self._held.lock:
            found = self._held.find(shape, at[0].generation)
            if found is None or not found.about.stands(at):
                number = at[0].generation
                raise Superseded(f"the segments of {shape.name}, generation {number}, are not as they were, or apart")
            divided = resegmented(found, segments)
            self._held.keep(shape, divided)
            return self._shown(shape, divided)

    # In step with the log

    async def join(self, shape: ViewShape[Any]) -> None:
        with self._held.lock:
            if live_of(self._held.of(shape), shape) is None:
                raise Superseded(f"{shape.name} has no live generation that could be kept in step")
            self._held.in_step[shape.name] = shape.fingerprint

    async def part(self, view: str) -> bool:
        with self._held.lock:
            return self._held.in_step.pop(view, None) is not None

    async def in_step(self) -> Sequence[Registered]:
        with self._held.lock:
            return [Registered(*view) for view in self._held.in_step.items()]

    # Leases

    async def beat(self, worker: Worker) -> Sequence[Worker]:
        with self._held.lock:
            known = self._held.workers.get(worker.id, worker)
            self._held.workers[worker.id] = worker._replace(beat=known.beat + 1)
            return list(self._held.workers.values())

    async def workers(self) -> Sequence[Worker]:
        with self._held.lock:
            return list(self._held.workers.values())

    async def expel(self, worker: str, beat: int) -> bool:
        with self._held.lock:
            known = self._held.workers.get(worker)
            if known is None or known.beat != beat:
                return False
            self._held.expel(worker)
            return True

    async def leave(self, worker: str) -> None:
        with self._held.lock:
            self._held.expel(worker)

    async def take(self, shape: ViewShape[Any], at: Checkpoint, worker: str) -> Checkpoint:
        with self._held.lock:
            held = self._held.find(shape, at.generation)
            found = None if held is None else held.segment(at)
            if held is None or found is None or found.owner is not None or worker not in self._held.workers:
                raise Superseded(f"segment {at.segment} of {shape.name} is not free any more")
            taken = found._replace(owner=worker, epoch=found.epoch + 1)
            self._held.keep(shape, moved(held, taken))
            return taken

    async def release(self, shape: ViewShape[Any], at: Checkpoint) -> None:
        with self._held.lock:
            held = self._held.find(shape, at.generation)
            if held is not None and (found := held.segment(at)) is not None:
                self._held.keep(shape, moved(held, found._replace(owner=None, epoch=found.epoch + 1)))

    # Writing

    async def load(self, shape: ViewShape[V], keys: Collection[Key], at: Checkpoint) -> dict[Key, V]:
        held = self._held.find(shape, at.generation)
        if held is None:
            raise Superseded(f"generation {at.generation} of {shape.name} is gone")
        return {key: held.rows[key] for key in keys if key in held.rows}

    async def commit(
        self,
        shape: ViewShape[V],
        changes: Changes[V],
        at: Checkpoint,
        upto: Anchor,
        letters: Sequence[Letter] = (),
    ) -> Checkpoint:
        rows = _checked(shape, changes)
        with self._held.lock:
            held = self._held.find(shape, at.generation)
            found = None if held is None else held.segment(at)
            if held is None or found is None or found.position != at.position or shape.name in self._held.pauses:
                raise Superseded(
                    f"generation {at.generation} of {shape.name} is not at {at.position} any more, or paused"
                )
            held = held.park(at.segment, letters).write(rows)
            checkpoint = found._replace(anchor=upto, failure=None, parked=held.parked(at.segment))
            held = moved(held, checkpoint)
            self._held.keep(shape, held)
        if held.about.live:
            self._held.bell(shape).ring(held.about.position)
        return checkpoint

    async def record_failure(self, shape: ViewShape[Any], at: Checkpoint, failure: Failure) -> Checkpoint:
        with self._held.lock:
            held = self._held.find(shape, at.generation)
            found = None if held is None else held.segment(at)
            if held is None or found is None or found.position != at.position:
                raise Superseded(f"generation {at.generation} of {shape.name} is not at {at.position} any more")
            self._held.keep(shape, moved(held, found._replace(failure=failure)))
        self._wake_all(shape)
        return at._replace(failure=failure)

    # Dead letters

    async def withheld(self, shape: ViewShape[Any], at: Checkpoint) -> Withheld:
        with self._held.lock:
            held = self._held.find(shape, at.generation)
            if held is None:
                raise Superseded(f"generation {at.generation} of {shape.name} is gone")
            return Withheld(held.holds(at.segment), frozenset(self._held.skips.get(shape.name, ())))

    async def letters(
        self, shape: ViewShape[Any], generation: int, hold: Hold | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[tuple[int, Letter]]:
        with self._held.lock:
            held = self._held.find(shape, generation)
            found: Sequence[tuple[int, Letter]] = [] if held is None else held.letters
        fitting = [
            (segment, letter) for segment, letter in found if letter.position > after and hold in (None, letter.hold)
        ]
        ordered = sorted(fitting, key=lambda one: (one[1].position, one[0], one[1].hold))
        last = ordered[:limit][-1][1].position if ordered else 0
        return [one for one in ordered if one[1].position <= last]

    async def held_back(self, shape: ViewShape[Any], generation: int, limit: int = 1000) -> Sequence[Held]:
        with self._held.lock:
            held = self._held.find(shape, generation)
        return [] if held is None else held.held_back()[:limit]

    async def settle(  # noqa: PLR0913, PLR0917 - what becomes of a hold, in one transaction
        self,
        shape: ViewShape[V],
        at: Checkpoint,
        hold: Hold,
        upto: int,
        changes: Changes[V],
        left: Letter | None = None,
        skip: Skip | None = None,
    ) -> None:
        rows = _checked(shape, changes)
        with self._held.lock:
            held = self._held.find(shape, at.generation)
            found = None if held is None else held.segment(at)
            if held is None or found is None or (hold.stream and found.position != at.position):
                raise Superseded(f"segment {at.segment} of {shape.name} is not where it was at epoch {at.epoch}")
            held = held.forget(at.segment, hold, upto).park(at.segment, [] if left is None else [left]).write(rows)
            if skip is not None:
                self._held.skips.setdefault(shape.name, {})[skip.hold, skip.position] = skip
            settled = found._replace(epoch=found.epoch + 1, parked=held.parked(at.segment))
            self._held.keep(shape, moved(held, settled))
        self._wake_all(shape)

    async def skips(self, shape: ViewShape[Any]) -> Sequence[Skip]:
        with self._held.lock:
            return sorted(self._held.skips.get(shape.name, {}).values(), key=lambda skip: skip.position)

    # Operators, and those who wait

    async def pause(self, shape: ViewShape[Any], pause: Pause) -> Pause | None:
        with self._held.lock:
            before = self._held.pauses.get(shape.name)
            self._held.pauses.setdefault(shape.name, pause)
        self._wake_all(shape)
        return before

    async def resume(self, shape: ViewShape[Any]) -> Pause | None:
        with self._held.lock:
            return self._held.pauses.pop(shape.name, None)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        with self._held.lock:
            snapshot = MemorySnapshot(dict(self._held.views), dict(self._held.pauses))
        yield snapshot

    async def reached(self, shape: ViewShape[Any], position: int, timeout: timedelta) -> bool:
        with self._held.lock:
            held = answering(self._held.of(shape), shape)
            found = None if held is None else self._shown(shape, held)
        if found is not None and found.live and (found.position >= position or found.hindrance is not None):
            return True
        bell, patience = self._held.bell(shape), min(timeout, POLL)
        if bell.position < position:
            return await bell.reached(position, patience)
        await asyncio.sleep(patience.total_seconds())  # it was rung for a generation that was replaced
        return False

    def _begin(self, shape: ViewShape[Any], log_id: str, segments: int) -> HeldGeneration:
        """An empty generation, in the place of an unfinished one."""
        if (old := unfinished(self._held.of(shape), shape)) is not None:
            self._held.remove(shape, old.about.number)
        begun = empty(shape, log_id, self._held.next_number(shape), segments)
        self._held.keep(shape, begun)
        return begun

    def _copy(self, shape: ViewShape[Any], log_id: str, segments: int, onto: Anchor) -> HeldGeneration:
        live = live_of(self._held.of(shape), shape)
        if live is None or live.about.log_id != log_id:
            raise Superseded(f"{shape.name} has no live generation to take the rows from")
        copied = copied_onto(self._begin(shape, log_id, segments), live, onto)
        self._held.keep(shape, copied)
        return copied

    def _shown(self, shape: ViewShape[Any], held: HeldGeneration) -> Generation:
        return held.about._replace(pause=self._held.pauses.get(shape.name))

    def _wake_all(self, shape: ViewShape[Any]) -> None:
        if (old := self._held.bells.pop(shape.name, None)) is not None:
            old.ring(2**63)


def _checked(shape: ViewShape[V], changes: Changes[V]) -> Mapping[Key, V | None]:
    """Rows that any store could hold."""
    assert not isinstance(changes, TableChanges)  # noqa: S101 - those who would make them are refused
    for row in changes.values():
        if row is not None:
            shape.check(row)
    return changes


def _check_kind(shape: ViewShape[Any]) -> None:
    """Raises Malformed for what needs SQL."""
    if isinstance(shape, TableShape):
        raise Malformed(
            f"memory:// has no SQL, which {shape.name} needs: a TableProjection runs on sqlite:// and postgresql://."
        )
