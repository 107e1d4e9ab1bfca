"""The read engine as a whole: whatever happens in whatever order, each row saw its events in order, exactly once.

Projectors of several workers are driven step by step, and crash, are taken for dead and go on as if nothing had been;
handlers fail until they are mended; what is held back is retried or passed over; generations are rebuilt and divided.
After each step every row is held against the log.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from diptych import Event, Projection, Recorded, View
from diptych.errors import NotFound
from diptych.read import (
    Checkpoint,
    Division,
    Fold,
    Generation,
    Hold,
    Pause,
    ProjectionSettings,
    Projector,
    Repair,
    State,
    Stopped,
    Superseded,
    ViewStore,
    Worker,
    segment_of,
)
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.stores.postgres import PostgresStore
from diptych.stores.sqlite import SqliteStore
from tests.conftest import new_store as new_schema
from tests.postgres import Server
from tests.read.engine import Proxy
from tests.read.ledger import fold_of, tell

T = TypeVar("T")

KEYS = "abcd"
WORKERS = ["ann", "bob", "cem"]
MENDED = 2
"""The version of the code in which nothing fails any more."""


class Said(Event):
    """An event of some rows. Code older than `readable` cannot tell which; code older than `sound` fails for `bad`."""

    keys: str
    bad: str = ""
    sound: int = 0
    readable: int = 0


class Trace(View, key="key"):
    """A row that tells which events it saw."""

    key: str
    seen: list[int]


def fold_at(version: int) -> Fold[Trace]:
    """The fold of a version of the code, which is of the same shape as the others."""
    projection = Projection(Trace)

    def keys_of(event: Recorded[Said]) -> str:
        if version < event.event.readable:
            raise RuntimeError("nobody knows the keys")
        return event.event.keys

    @projection.on(keys=keys_of)
    def traced(row: Trace | None, event: Recorded[Said], key: str) -> Trace:
        if version < event.event.sound and key in event.event.bad:
            raise RuntimeError(f"{key} is broken")
        return Trace(key=key, seen=[*(row.seen if row else []), event.position])

    return fold_of(projection, [Said])


FOLDS = [fold_at(version) for version in range(MENDED + 1)]
SHAPE = FOLDS[0].shape

SAID = st.builds(
    Said,
    keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True).map("".join),
    bad=st.sampled_from(["", "a", "ab", "abcd"]),
    sound=st.integers(0, MENDED),
    readable=st.sampled_from([0, 0, 0, 1, 2]),
)
STREAMS = st.sampled_from(["ledger-1", "ledger-2"])
ALL: st.SearchStrategy[int] = st.integers(0, 99)
"""What picks one of however many there are."""


class Told(NamedTuple):
    """An event in the log, as the test knows it."""

    event: Said
    stream: str


class Crashing(Proxy):
    """A read store whose process ends before or after its next commit."""

    when = "never"

    async def commit(self, *args: Any) -> Checkpoint:
        if self.when == "before":
            raise ConnectionError("ended before the commit")
        checkpoint: Checkpoint = await self._real.commit(*args)
        if self.when == "after":
            raise ConnectionError("ended after the commit")
        return checkpoint


class Yielding(Proxy):
    """A read store, before each call to which others have some turns, so that they come in between."""

    def __init__(self, real: Any, turns: Sequence[int]) -> None:
        super().__init__(real)
        self._turns = itertools.cycle(turns)

    def __getattr__(self, name: str) -> Any:
        called = super().__getattr__(name)

        async def call(*args: Any, **named: Any) -> Any:
            for _ in range(next(self._turns)):
                await asyncio.sleep(0)
            return await called(*args, **named)

        return call


class Engine(RuleBasedStateMachine):
    """Drives one view in one store."""

    def store(self) -> Store:
        return MemoryStore(lambda: time.time_ns() // 1000)

    @initialize(segments=st.integers(1, 3))
    def begin(self, segments: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="diptych-")
        self.runner = asyncio.Runner()
        self.openings = AsyncExitStack()
        self.version = 0
        self.told: list[Told] = []
        self.projectors: dict[str, Projector] = {}
        self.streams: set[tuple[int, str]] = set()
        self.run(self.open(self.store(), segments))

    async def open(self, store: Store, segments: int) -> None:
        self.log = await self.openings.enter_async_context(store.log())
        self.views = await self.openings.enter_async_context(store.views())
        generation = await self.views.prepare(SHAPE, self.log.log_id, segments)
        assert await self.views.switch(SHAPE, generation.number)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # What happens

    @rule(events=st.lists(st.tuples(SAID, STREAMS), min_size=1, max_size=6))
    def append(self, events: list[tuple[Said, str]]) -> None:
        for event, stream in events:
            self.run(tell(self.log, event, stream=stream))
            self.told.append(Told(event, stream))

    @rule(worker=st.sampled_from(WORKERS), pick=ALL, batch=st.integers(1, 5))
    def take(self, worker: str, pick: int, batch: int) -> None:
        """A worker takes a free segment, with the code as it is now."""

        async def work() -> None:
            await self.views.beat(Worker(worker, frozenset()))
            free = [at for at in (await self.live()).checkpoints if at.owner is None]
            if free:
                at = await self.views.take(SHAPE, free[pick % len(free)], worker)
                self.projectors[worker] = await self.projector(at, batch)

        self.run(work())

    @rule(worker=st.sampled_from(WORKERS), crash=st.sampled_from(["never", "never", "before", "after"]))
    def step(self, worker: str, crash: str) -> None:
        """A worker goes on, whether or not others have taken its segment meanwhile."""
        if (projector := self.projectors.get(worker)) is not None:
            crashing = Crashing(self.views)
            crashing.when = crash
            projector._views = cast("ViewStore", crashing)
            self.run(self.stepped(worker))

    @rule(worker=st.sampled_from(WORKERS))
    def expel(self, worker: str) -> None:
        """Others take a worker for dead. It may not have noticed."""

        async def work() -> None:
            known = {one.id: one for one in await self.views.workers()}
            if worker in known:
                assert await self.views.expel(worker, known[worker].beat)

        self.run(work())

    @rule(worker=st.sampled_from(WORKERS))
    def leave(self, worker: str) -> None:
        self.projectors.pop(worker, None)
        self.run(self.views.leave(worker))

    @rule(version=st.integers(0, MENDED))
    def deploy(self, version: int) -> None:
        """Other code, of the same shape. Who is at work goes on with what it had."""
        self.version = version

    @rule(paused=st.sampled_from([True, False, False]))
    def pause_or_resume(self, paused: bool) -> None:
        self.run(self.views.pause(SHAPE, Pause("now", "a test")) if paused else self.views.resume(SHAPE))

    @rule(batch=st.integers(1, 5))
    def catch_up(self, batch: int) -> None:
        """Somebody applies all that there is, whoever else has the segments: it is the epoch that counts."""
        with suppress(Superseded):
            self.run(self.caught_up(batch))

    @rule(pick=ALL)
    def retry(self, pick: int) -> None:
        self.run(self.retried(pick, self.views))

    @rule(pick=ALL)
    def skip(self, pick: int) -> None:
        async def work() -> None:
            generation = await self.any_generation(pick)
            repair = Repair(self.fold, self.log, self.views, generation.number)
            if holds := await repair.holds():
                hold = holds[pick % len(holds)]
                ((_, first), *_) = await self.views.letters(SHAPE, generation.number, hold, limit=1)
                await repair.skip(hold, first.position, "a test")

        self.run(work())

    @rule(segments=st.integers(1, 4), anew=st.booleans())
    def rebuild(self, segments: int, anew: bool) -> None:
        self.run(self.views.begin(SHAPE, self.log.log_id, segments, anew=anew))

    @rule(pick=ALL, batch=st.integers(1, 5), steps=st.integers(1, 9))
    def fill(self, pick: int, batch: int, steps: int) -> None:
        """Somebody fills a part of what is being rebuilt."""

        async def work() -> None:
            if (generation := await self.filling()) is not None:
                at = generation.checkpoints[pick % len(generation.checkpoints)]
                projector = await self.projector(at, batch)
                with suppress(Superseded):
                    for _ in range(steps):
                        if projector.checkpoint.position < len(self.told):
                            await projector.step()

        self.run(work())

    @rule(keep=st.booleans())
    def switch(self, keep: bool) -> None:
        async def work() -> None:
            if (generation := await self.filling()) is not None:
                with suppress(Superseded):
                    await self.views.switch(SHAPE, generation.number, keep=keep)

        self.run(work())

    @rule()
    def drop(self) -> None:
        async def work() -> None:
            for generation in await self.views.generations(SHAPE):
                if not generation.live:
                    await self.views.drop(SHAPE, generation.number)

        self.run(work())

    @rule(segments=st.integers(1, 4))
    def divide(self, segments: int) -> None:
        """An operator divides the view anew, once no worker has a segment of it."""

        async def work() -> None:
            for worker in await self.views.workers():
                await self.views.leave(worker.id)
            if (await self.live()).pause is None:
                with suppress(Stopped):
                    await Division("divider", self.fold, self.log, self.views).run(segments)

        self.run(work())

    @rule(pick=ALL, turns=st.lists(st.integers(0, 3), min_size=1, max_size=7))
    def all_at_once(self, pick: int, turns: list[int]) -> None:
        """Every worker goes on, and two operators retry the same."""

        async def work() -> None:
            yielding = cast("ViewStore", Yielding(self.views, turns))
            for projector in self.projectors.values():
                projector._views = yielding
            retries = [self.retried(pick, yielding), self.retried(pick, yielding)]
            await asyncio.gather(*[self.stepped(worker) for worker in [*self.projectors]], *retries)

        self.run(work())

    # How

    @property
    def fold(self) -> Fold[Trace]:
        return FOLDS[self.version]

    async def projector(self, at: Checkpoint, batch: int) -> Projector:
        projector = Projector(self.fold, self.log, self.views, at, ProjectionSettings(batch=batch))
        await projector.begin()
        return projector

    async def caught_up(self, batch: int) -> None:
        for segment in range(len((await self.live()).checkpoints)):
            projector = await self.projector((await self.live()).checkpoints[segment], batch)
            while projector.checkpoint.position < len(self.told):
                await projector.step()

    async def stepped(self, worker: str) -> None:
        projector = self.projectors[worker]
        if projector.checkpoint.position < len(self.told):
            try:
                await projector.step()
            except (Superseded, ConnectionError):
                self.projectors.pop(worker, None)

    async def retried(self, pick: int, views: ViewStore) -> None:
        generation = await self.any_generation(pick)
        repair = Repair(self.fold, self.log, views, generation.number)
        with suppress(NotFound):
            if holds := await repair.holds():
                self.streams |= {(generation.number, hold.stream) for hold in holds}
                await repair.retry(holds[pick % len(holds)])

    async def live(self) -> Generation:
        async with self.views.snapshot() as snapshot:
            return await snapshot.generation(SHAPE)

    async def filling(self) -> Generation | None:
        found = [one for one in await self.views.generations(SHAPE) if one.state is State.FILLING]
        return found[0] if found else None

    async def any_generation(self, pick: int) -> Generation:
        found = [one for one in await self.views.generations(SHAPE) if one.state is not State.KEPT]
        return found[pick % len(found)]

    # What is true after every step

    @invariant()
    def every_row_is_what_it_should_be(self) -> None:
        if hasattr(self, "views"):
            self.run(self.check())

    async def check(self) -> None:
        skips = {(skip.hold, skip.position) for skip in await self.views.skips(SHAPE)}
        generations = await self.views.generations(SHAPE)
        assert [one.live for one in generations].count(True) == 1
        for generation in generations:
            letters = [
                (segment, letter.hold, letter.position)
                for segment, letter in await self.views.letters(SHAPE, generation.number)
            ]
            assert len(letters) == len(set(letters))
            self.streams |= {(generation.number, hold.stream) for _, hold, _ in letters if hold.stream}
            for at in generation.checkpoints:
                holds = {hold for segment, hold, _ in letters if segment == at.segment}
                assert (await self.views.withheld(SHAPE, at)).holds == holds
                assert at.parked == len(holds)
            rows = await self.views.load(SHAPE, [*KEYS], generation.checkpoints[0])
            for key in KEYS:
                self.check_row(key, rows[key].seen if key in rows else [], generation, letters, skips)

    def check_row(
        self,
        key: str,
        seen: Sequence[int],
        generation: Generation,
        letters: Sequence[tuple[int, Hold, int]],
        skips: set[tuple[Hold, int]],
    ) -> None:
        """Each event up to the checkpoint was seen once, or is parked, or is passed over; nothing is so twice."""
        hold = Hold(SHAPE.key_text(key))
        at = generation.checkpoints[segment_of(hold.key, len(generation.checkpoints))]
        due = {position: told for position, told in enumerate(self.told[: at.position], 1) if key in told.event.keys}
        waits = {position for _, one, position in letters if one == hold}
        streamed = {position for segment, one, position in letters if segment == at.segment and one.stream}
        parked = (waits | streamed) & set(due)
        assert len(seen) == len(set(seen))
        assert waits <= set(due)
        assert set(seen) <= set(due) - parked
        for position in set(due) - parked - set(seen):
            assert {(hold, position), (Hold(stream=due[position].stream), position)} & skips, "it is lost"
        if waits:
            later = {position for position in due if position > min(waits)} - streamed
            overtaken = {position for position in later - waits if self.never_held(generation, due[position])}
            assert not overtaken, "nothing overtakes what is held back"
        in_order = [position for position in seen if self.never_held(generation, due[position])]
        assert in_order == sorted(in_order)
        for stream in {told.stream for told in due.values()}:
            own = [position for position in seen if due[position].stream == stream]
            assert own == sorted(own)

    def never_held(self, generation: Generation, told: Told) -> bool:
        """Whether the stream of an event was never held back: it may be applied late, then, for keys are not known."""
        return (generation.number, told.stream) not in self.streams

    # In the end

    def teardown(self) -> None:
        if hasattr(self, "views"):
            try:
                self.run(self.settle_all())
            finally:
                self.run(self.openings.aclose())
                self.runner.close()
                self.folder.cleanup()

    async def settle_all(self) -> None:
        """With mended code, all that was held back is applied, and nothing is missing but what is passed over."""
        self.version = MENDED
        await self.views.resume(SHAPE)
        generation = await self.live()
        repair = Repair(self.fold, self.log, self.views, generation.number)
        for hold in await repair.holds():
            assert (await repair.retry(hold)).left is None
        await self.caught_up(100)
        await self.check()
        live = await self.live()
        assert (live.position, live.parked) == (len(self.told), 0)


SMALL = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TestEngine = Engine.TestCase
TestEngine.settings = settings(SMALL, max_examples=150, stateful_step_count=40)


def test_the_engine_is_exact_on_sqlite() -> None:
    class OnSqlite(Engine):
        def store(self) -> Store:
            return SqliteStore(Path(self.folder.name) / "log.db")

    run_state_machine_as_test(OnSqlite, settings=settings(SMALL, max_examples=25, stateful_step_count=40))


def test_the_engine_is_exact_on_postgres(postgres: Server) -> None:
    class OnPostgres(Engine):
        def store(self) -> Store:
            return PostgresStore(new_schema(postgres))

    run_state_machine_as_test(OnPostgres, settings=settings(SMALL, max_examples=10, stateful_step_count=30))
