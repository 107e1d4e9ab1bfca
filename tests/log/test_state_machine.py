"""The stores held against memory: whatever is appended and read, in whatever order, all answer the same."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from diptych.errors import DiptychError
from diptych.log import Append, Batch, BatchEvent, EventLog, EventQuery, Match, NewEvent, NoneNewer, StreamAt
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.stores.postgres import PostgresStore
from diptych.stores.sqlite import SqliteStore
from tests.conftest import new_store
from tests.postgres import Server

STREAMS = ["order-1", "order-2", "order-11", "cart-é", "cart-%"]
TYPES = ["Placed", "Shipped", "shipped", "It's"]
TAGS = ["id:1", "id:2", "id:11", 'say:"hi"', "é:🙂"]
HOUR = 3_600_000_000


class Wish(NamedTuple):
    """An append that does not know yet where the log stands. `command` names one that may have been used before."""

    stream: str
    events: list[tuple[str, tuple[str, ...], bytes]]
    condition: str
    query: EventQuery
    back: int
    command: int | None
    body: bytes


MATCHES = st.builds(
    Match, st.frozensets(st.sampled_from(TYPES), max_size=2), st.frozensets(st.sampled_from(TAGS), max_size=2)
)
QUERIES = st.lists(MATCHES, max_size=3).map(tuple).map(EventQuery)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(TYPES),
        st.lists(st.sampled_from(TAGS), max_size=3).map(tuple),
        st.binary(max_size=4),
    ),
    max_size=3,
)
WISHES = st.builds(
    Wish,
    stream=st.sampled_from(STREAMS),
    events=EVENTS,
    condition=st.sampled_from(["none", "stream", "stream", "query", "query"]),
    query=QUERIES,
    back=st.sampled_from([0, 0, 0, 1, 2, 5, -1]),
    command=st.none() | st.integers(0, 5),
    body=st.sampled_from([b"body", b"body", b"other"]),
)
SOME_TYPES = st.none() | st.lists(st.sampled_from([*TYPES, "Unknown"]), max_size=3)


class SameLogs(RuleBasedStateMachine):
    """Does everything to all logs, and compares what they say."""

    postgres: ClassVar[Server | None] = None

    @initialize()
    def begin(self) -> None:
        self.now = HOUR
        self.numbers = 0
        self.folder = tempfile.TemporaryDirectory(prefix="diptych-")
        self.runner = asyncio.Runner()
        self.stores: list[Store] = [
            MemoryStore(lambda: self.now),
            SqliteStore(Path(self.folder.name) / "log.db", lambda: self.now),
        ]
        if self.postgres is not None:
            self.stores.append(PostgresStore(new_store(self.postgres), lambda: self.now))
        self.openings = AsyncExitStack()
        self.runner.run(self.open())

    async def open(self) -> None:
        self.logs = [await self.openings.enter_async_context(store.log()) for store in self.stores]

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.openings.aclose())
            self.runner.close()
            self.folder.cleanup()

    def same(self, action: Callable[[EventLog], Awaitable[Any]]) -> Any:
        """Does it to all, and gives what all said."""

        async def said(log: EventLog) -> Any:
            try:
                answer = await action(log)
                return answer._replace(events=list(answer.events)) if hasattr(answer, "events") else answer
            except DiptychError as error:
                return type(error), str(error)

        in_memory, *elsewhere = [self.runner.run(said(log)) for log in self.logs]
        for answer in elsewhere:
            assert answer == in_memory
        return in_memory

    def append_of(self, wish: Wish) -> Append:
        version = self.same(lambda log: log.load(wish.stream)).version
        head = self.same(lambda log: log.head()).position
        condition = {
            "none": None,
            "stream": StreamAt(max(version - wish.back, 0)),
            "query": NoneNewer(wish.query, min(max(head - wish.back, 0), head)),
        }[wish.condition]
        events: list[NewEvent] = []
        for type, tags, data in wish.events:
            self.numbers += 1
            events.append(NewEvent(type, 1 + len(data), self.numbers.to_bytes(16, "big"), tags, data))
        self.numbers += 1
        command = f"new-{self.numbers}" if wish.command is None else f"c'{wish.command}"
        return Append(command, wish.body, wish.stream, events, condition, b'{"n":%d}' % self.numbers)

    @rule(wish=WISHES)
    def append(self, wish: Wish) -> None:
        append = self.append_of(wish)
        self.same(lambda log: log.append(append))

    @rule(wishes=st.lists(WISHES, min_size=2, max_size=6))
    def append_together(self, wishes: list[Wish]) -> None:
        appends = [self.append_of(wish) for wish in wishes]

        async def together(log: EventLog) -> list[Any]:
            answers = await asyncio.gather(*[log.append(append) for append in appends], return_exceptions=True)
            return [(type(one), str(one)) if isinstance(one, BaseException) else one for one in answers]

        self.same(together)

    @rule(wishes=st.lists(WISHES.filter(lambda wish: bool(wish.events)), min_size=1, max_size=6))
    def append_batch(self, wishes: list[Wish]) -> None:
        appends = [self.append_of(wish) for wish in wishes]
        events = [BatchEvent(one.stream, event, one.metadata) for one in appends for event in one.events]
        expected = {one.stream: one.condition.version for one in appends if isinstance(one.condition, StreamAt)}
        batch = Batch(appends[0].command_id, appends[0].fingerprint, events, expected)
        self.same(lambda log: log.append_batch(batch))

    @rule(by=st.integers(-HOUR, HOUR))
    def jump(self, by: int) -> None:
        self.now += by

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.openings.aclose())
        self.runner.run(self.open())

    @rule(query=QUERIES)
    def select(self, query: EventQuery) -> None:
        self.same(lambda log: log.select(query))

    @rule(after=st.integers(0, 40), limit=st.integers(1, 12), types=SOME_TYPES)
    def read(self, after: int, limit: int, types: list[str] | None) -> None:
        self.same(lambda log: log.read(after, limit, types))
        self.same(lambda log: log.read_records(after, limit, types))

    @rule(position=st.integers(0, 40))
    def look_at(self, position: int) -> None:
        self.same(lambda log: log.anchor(position))
        self.same(lambda log: log.recorded_at(position))

    @rule(command=st.integers(0, 6))
    def ask(self, command: int) -> None:
        self.same(lambda log: log.outcome(f"c'{command}"))

    @invariant()
    def they_are_equal(self) -> None:
        if hasattr(self, "logs"):
            head = self.same(lambda log: log.head())
            page = self.same(lambda log: log.read_records(0))
            times = [record.recorded_at for record in page.events]
            assert [record.position for record in page.events] == list(range(1, head.position + 1))
            assert times == sorted(times)
            for stream in STREAMS:
                self.is_whole(stream)

    def is_whole(self, stream: str) -> None:
        loaded = self.same(lambda log: log.load(stream))
        assert loaded.version == len(loaded.events)


TestSameLogs = SameLogs.TestCase
TestSameLogs.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_postgres_answers_as_the_others_do(postgres: Server) -> None:
    class WithPostgres(SameLogs):
        pass

    WithPostgres.postgres = postgres
    run_state_machine_as_test(WithPostgres, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
