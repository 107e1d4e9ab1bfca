"""Snapshots are caches: whatever becomes of them, at any moment, commands are answered as they would be without."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diptych import Aggregate, BoundedContext, Command, Event, Rejected, Zstd, every, never
from diptych.errors import DiptychError, Unavailable
from diptych.log import Anchor, Codec, Restored, Snapshot
from diptych.stores.memory import MemoryStore
from diptych.stores.memory.snapshots import HeldSnapshots, MemorySnapshots
from diptych.write import AggregateRules, Envelope, SnapshotPolicy, SnapshotRebuild, States, Surroundings, WriteSide
from diptych.write import keeper as keeping
from diptych.write.domain import fold
from diptych.write.snapshots import Snapshots


class Count(Command):
    counter: str
    by: int


class Counted(Event):
    counter: str
    by: int


@dataclass(frozen=True, slots=True)
class Counter:
    """Order matters to it, so that no event can be missed or applied twice unseen."""

    total: int = 0
    last: tuple[int, ...] = ()
    steps: int = 0


def counting(
    snapshots: SnapshotPolicy[Counter], version: int = 1, *, start: int = 0, codec: Codec | None = None
) -> BoundedContext:
    """A context that counts from `start`, to see that another meaning of the events is not mixed with the first."""
    counters = Aggregate("counter", id="counter", initial=Counter(total=start), version=version, snapshots=snapshots)

    @counters.decide
    def count_(state: Counter, command: Count) -> Iterator[Counted]:
        if state.total + command.by < 0:
            raise Rejected("too-little", f"{state.total} after {state.steps} steps, {state.last}")
        for by in (command.by, 0)[: 1 + command.by % 2]:
            yield Counted(counter=command.counter, by=by)

    @counters.evolve
    def counted(state: Counter, event: Counted) -> Counter:
        return Counter(state.total * 3 % 1009 + event.by, (*state.last, event.by)[-4:], state.steps + 1)

    return BoundedContext("counting", aggregates=[counters], codec=codec)


EVERY_3 = counting(every(3))
NEVER = counting(never)
NEXT = counting(every(2), 2, start=5)
NEXT_NEVER = counting(never, 2, start=5)

_numbers = count()


class Place:
    """A log in memory and its snapshots, and new processes on both."""

    def __init__(self) -> None:
        numbers = count(1)
        self.store = MemoryStore(lambda: next(numbers))
        self.held: HeldSnapshots = {}

    def lose(self, events: int) -> None:
        """The log loses its end, as one that is restored from a backup."""
        held = self.store._events
        for _ in range(min(events, len(held.events))):
            gone = held.events.pop()
            held.streams[gone.stream].pop()
        held.outcomes = {id: one for id, one in held.outcomes.items() if one.position <= len(held.events)}

    @asynccontextmanager
    async def process(
        self, context: BoundedContext, around: Callable[[MemorySnapshots], Any] = lambda snapshots: snapshots
    ) -> AsyncGenerator[WriteSide]:
        async def sleep(_: float) -> None:
            await asyncio.sleep(0)

        def randomness(size: int) -> bytes:
            number: int = next(_numbers) % 256**size
            return number.to_bytes(size)

        async with self.store.log() as log:
            surroundings = Surroundings(lambda: 1.7e9, randomness, sleep)
            snapshots = around(MemorySnapshots(self.held, log))
            side = WriteSide(
                context.aggregates, context.catalogue, log, surroundings, states=States(), snapshots=snapshots
            )
            yield side
            await side.close()


async def answer(side: WriteSide, counter: str, by: int, command_id: str) -> tuple[Any, ...]:
    """What the command is told."""
    try:
        receipt = await side.execute(Count(counter=counter, by=by), Envelope(command_id=command_id))
    except DiptychError as error:
        return type(error), str(error)
    return receipt.version, receipt.events


HARM = ["none", "deleted", "flipped", "cut", "older", "another stream's", "of another history", "shape", "ahead"]


def harm(held: HeldSnapshots, older: HeldSnapshots, how: str, where: int) -> None:
    """Does something to every snapshot that there is."""
    before = dict(held)
    for stream, snapshot in before.items():
        data = snapshot.data
        match how:
            case "deleted":
                del held[stream]
            case "flipped" if data:
                place = where % len(data)
                held[stream] = snapshot._replace(data=data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            case "cut":
                held[stream] = snapshot._replace(data=data[: where % max(len(data), 1)])
            case "older":
                held[stream] = older.get(stream, snapshot)
            case "another stream's":
                other = [one for one in before.values() if one.stream != stream]
                held[stream] = other[where % len(other)]._replace(stream=stream) if other else snapshot
            case "of another history":
                held[stream] = snapshot._replace(upto=snapshot.upto._replace(event_id=bytes(16)))
            case "ahead":
                upto = Anchor(snapshot.upto.position + 1 + where, snapshot.upto.event_id)
                held[stream] = snapshot._replace(version=snapshot.version + 1 + where, upto=upto)
            case "shape":
                held[stream] = snapshot._replace(shape="another")
            case _:
                pass


STEPS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(-40, 60),
        st.sampled_from(["stay", "stay", "restart", "upgrade", "lose"]),
        st.sampled_from(HARM),
        st.integers(0, 200),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_commands_are_answered_alike_with_snapshots_without_them_and_with_damaged_ones(
    steps: Sequence[tuple[str, int, str, str, int]],
) -> None:
    async def told(contexts: Sequence[BoundedContext], *, harmed: bool) -> list[tuple[Any, ...]]:
        place, answers, older = Place(), [], HeldSnapshots()
        context, number, left, then, where = contexts[0], 0, list(steps), "stay", 0
        while left:
            async with place.process(context) as side:
                while left:
                    counter, by, then, how, where = left.pop(0)
                    number += 1
                    answers.append(await answer(side, counter, by, f"command-{number}"))
                    if harmed:
                        harm(place.held, older, how, where)
                        older |= place.held
                    if then != "stay":
                        context = contexts[1] if then == "upgrade" else context
                        break
            if left and then == "lose":
                place.lose(where % 7)
        return answers

    async def all_told() -> None:
        without = await told([NEVER, NEXT_NEVER], harmed=False)
        assert await told([EVERY_3, NEXT], harmed=False) == without
        assert await told([EVERY_3, NEXT], harmed=True) == without

    asyncio.run(all_told())


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    cut=st.integers(1, 100),
    codec=st.sampled_from([None, Zstd(threshold=1)]),
)
def test_a_snapshot_and_the_events_after_it_fold_to_what_all_events_fold_to(
    steps: Sequence[int], cut: int, codec: Codec | None
) -> None:
    async def compared() -> None:
        context, place = counting(never, codec=codec), Place()
        kept = counting(every(1), codec=codec)
        rules = kept.aggregates[0]
        shape = rules.state_shape
        assert shape is not None
        async with place.process(context) as side, place.store.log() as log:
            snapshots = Snapshots(kept.catalogue, log, MemorySnapshots(place.held, log))
            for number, by in enumerate(steps):
                await answer(side, "a", by, f"command-{number}")
                if number == cut % len(steps):
                    start = await snapshots.beginning(rules, "counter-a")
                    await snapshots.keep(shape, "counter-a", start, await snapshots.fold(rules, start))
            start = await snapshots.start(rules, "counter-a")
            whole = fold(kept.catalogue, rules, rules.initial, (await log.load("counter-a")).events)
            assert start.snapshot > 0
            assert fold(kept.catalogue, rules, start.state, start.events) == whole

    asyncio.run(compared())


async def grown(side: WriteSide, commands: int, counter: str = "a") -> None:
    for _ in range(commands):
        await side.execute(Count(counter=counter, by=2), Envelope())


async def test_a_snapshot_is_made_after_so_many_events_and_loads_begin_there() -> None:
    place = Place()
    async with place.process(EVERY_3) as side:
        await grown(side, 2)
        assert place.held == {}
        await grown(side, 1)
    assert {stream: kept.version for stream, kept in place.held.items()} == {"counter-a": 3}
    async with place.process(EVERY_3) as side:
        await grown(side, 2)
        await asyncio.sleep(0.05)
        assert place.held["counter-a"].version == 3
        await grown(side, 1)
    assert place.held["counter-a"].version == 6


async def test_a_stream_that_was_long_before_gets_its_snapshot_with_the_next_command() -> None:
    place = Place()
    async with place.process(NEVER) as side:
        await grown(side, 10)
    async with place.process(EVERY_3) as side:
        await grown(side, 1)
    assert place.held["counter-a"].version == 11


async def test_a_function_says_when_a_snapshot_is_due() -> None:
    asked: list[tuple[int, int]] = []

    def when_even(events: int, state: Counter) -> bool:
        asked.append((events, state.steps))
        return state.steps % 4 == 0

    place = Place()
    async with place.process(counting(when_even)) as side:
        for number in range(6):
            await grown(side, 1)
            if number == 3:
                await asyncio.sleep(0.05)
                assert place.held["counter-a"].version == 4
    assert place.held["counter-a"].version == 4
    assert asked == [(2, 2), (3, 3), (4, 4), (1, 5), (2, 6)]


async def test_a_policy_that_fails_is_logged_and_is_not_the_commands_error(caplog: pytest.LogCaptureFixture) -> None:
    def broken(events: int, state: Counter) -> bool:
        raise ZeroDivisionError

    place = Place()
    async with place.process(counting(broken)) as side:
        await grown(side, 3)
    assert place.held == {}
    assert "The snapshot policy of aggregate 'counter' failed" in caplog.text


async def test_an_aggregate_of_another_version_does_not_read_the_snapshots_of_the_one_before() -> None:
    place = Place()
    async with place.process(EVERY_3) as side:
        await grown(side, 4)
    before = place.held["counter-a"]
    async with place.process(NEXT) as side:
        assert (await answer(side, "a", -10_000, "no"))[1].startswith("too-little")
        await grown(side, 1)
    assert place.held["counter-a"].version == 5
    assert place.held["counter-a"].shape != before.shape


class Broken:
    """Snapshots that cannot be kept."""

    def __init__(self, real: MemorySnapshots, error: Exception, ends: asyncio.Event | None = None) -> None:
        self._real = real
        self._error = error
        self._ends = ends
        self.tried = 0

    async def restore(self, stream: str, shape: str) -> Restored:
        return await self._real.restore(stream, shape)

    async def keep(self, _: Snapshot) -> None:
        self.tried += 1
        if self._ends is not None:
            await self._ends.wait()
        raise self._error

    async def delete(self, category: str) -> int:
        return await self._real.delete(category)


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), ZeroDivisionError("a bug")])
async def test_a_snapshot_that_cannot_be_kept_is_logged_and_is_not_the_commands_error(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async with Place().process(EVERY_3, lambda real: Broken(real, error)) as side:
        await grown(side, 7)
    assert "No snapshot of counter-a was kept" in caplog.text
    assert str(error) in caplog.text


async def test_what_is_due_waits_in_bounded_memory_and_no_command_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "WAITING", 3)
    ends = asyncio.Event()
    broken: list[Broken] = []

    def around(real: MemorySnapshots) -> Broken:
        broken.append(Broken(real, Unavailable("away"), ends))
        return broken[0]

    async with Place().process(EVERY_3, around) as side:
        for counter in "abcdefgh":
            await grown(side, 3, counter)
        await asyncio.sleep(0.05)
        assert broken[0].tried == keeping.WRITERS
        ends.set()
    assert broken[0].tried == keeping.WRITERS + 3


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PATIENCE", keeping.PATIENCE / 100)
    async with Place().process(EVERY_3, lambda real: Broken(real, Unavailable("away"), asyncio.Event())) as side:
        await grown(side, 3)


async def test_a_snapshot_that_the_log_has_outlived_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    rules = EVERY_3.aggregates[0]
    async with place.process(NEVER) as side, place.store.log() as log:
        await grown(side, 3)
        snapshots = Snapshots(EVERY_3.catalogue, log, MemorySnapshots(place.held, log))
        start = await snapshots.beginning(rules, "counter-a")
        place.store._events.events.clear()
        assert rules.state_shape is not None
        await snapshots.keep(rules.state_shape, "counter-a", start, Counter())
    assert place.held == {}


async def rebuilt(place: Place, context: BoundedContext) -> SnapshotRebuild:
    rules: AggregateRules = context.aggregates[0]
    assert rules.state_shape is not None
    async with place.store.log() as log:
        rebuild = SnapshotRebuild(rules, rules.state_shape, context.catalogue, log, MemorySnapshots(place.held, log))
        await rebuild.run()
        return rebuild


async def test_a_rebuild_makes_the_snapshots_of_all_streams_that_are_due_for_one() -> None:
    place = Place()
    async with place.process(NEVER) as side:
        for number in range(50):
            await grown(side, number % 6, f"{number}")
    rebuild = await rebuilt(place, EVERY_3)
    async with place.store.log() as log:
        assert rebuild.position == rebuild.head == (await log.head()).position
    due = {f"counter-{number}": number % 6 for number in range(50) if number % 6 >= 3}
    assert {stream: kept.version for stream, kept in place.held.items()} == due
    assert (rebuild.streams, rebuild.kept) == (len([n for n in range(50) if n % 6]), len(due))


async def test_a_rebuild_believes_no_snapshot_that_was_there_before() -> None:
    place = Place()
    async with place.process(EVERY_3) as side:
        await grown(side, 4)
    right = place.held["counter-a"]
    place.held["counter-a"] = right._replace(data=right.data[:16] + b"{}")
    await rebuilt(place, EVERY_3)
    async with place.process(EVERY_3) as side:
        assert "after 4 steps" in (await answer(side, "a", -10_000, "no"))[1]
    assert place.held["counter-a"].version == 4


async def test_a_rebuild_of_an_empty_log_makes_nothing() -> None:
    rebuild = await rebuilt(Place(), EVERY_3)
    assert (rebuild.head, rebuild.streams, rebuild.kept) == (0, 0, 0)


async def test_a_rebuild_ends_with_the_first_error_and_says_whose_it_is() -> None:
    context = counting(every(1))
    evolve = context.aggregates[0].evolvers[Counted]
    context.aggregates[0].evolvers[Counted] = lambda state, event: replace(evolve(state, event), total=1.5)
    place = Place()
    async with place.process(NEVER) as side:
        await grown(side, 1)
    with pytest.raises(DiptychError, match="The state of counter-a cannot be kept"):
        await rebuilt(place, context)


def test_every_takes_a_number_of_events() -> None:
    with pytest.raises(ValueError, match=r"every\(0\)"):
        every(0)
