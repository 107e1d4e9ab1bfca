"""Answers queries, as fresh as they are asked to be.

A query runs under one snapshot. Where a view that it reads has not reached the token there, the snapshot is given up,
the view waited for, and the query run again: it changes nothing, so it may.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from diptych.errors import Malformed, NotCaughtUp, NotFound, TimedOut
from diptych.log import EventLog, Head, Token, from_microseconds
from diptych.messages import Query, Shape, View
from diptych.messages.words import did_you_mean
from diptych.read.checkpoint import Generation, NeverFilled, RowsGone
from diptych.read.places import ReadableViews
from diptych.read.shape import ViewShape
from diptych.read.standing import NO_LAG, Lag, Standing
from diptych.read.store import Snapshot
from diptych.read.views import Behind, Views

R = TypeVar("R")

QueryFunction = Callable[[Any, Views], Awaitable[Any]]

Within = Callable[[timedelta], AbstractContextManager[None]]
"""A context whose body raises TimeoutError if it takes longer, in the task that enters it."""

ASK_TIMEOUT = timedelta(seconds=5)
"""How long a query may wait for its views, and how long it may take to read them, unless asked for otherwise."""


READS = 3
"""How often a query is run at most whose rows are gone when it comes to them."""


class Answer(NamedTuple, Generic[R]):
    """A query's result with its circumstances. `position` is the log position that the answer holds everything up to.

    `stale` says that the answer does not have the token it was asked for: only a lenient query is answered so. `parked`
    is the number of keys, in the views that were read, which dead letters hold back: their rows may be older.
    """

    value: R
    position: int
    lag: Lag
    stale: bool
    parked: int = 0


class QueryHandler(NamedTuple):
    """How queries of one type are answered, and the type of the answer."""

    query: type[Query[Any]]
    function: QueryFunction
    shape: Shape[Any]
    result: Any


class QuerySide:
    """The right panel: the queries of a context over its views."""

    def __init__(
        self,
        handlers: Iterable[QueryHandler],
        shapes: Mapping[type[View], ViewShape[Any]],
        log: EventLog,
        store: ReadableViews,
        within: Within,
    ) -> None:
        self._within = within
        self._handlers = {handler.query: handler for handler in handlers}
        self._shapes = shapes
        self._log = log
        self._store = store
        self._head: Head | None = None
        self._reads: dict[type[Query[Any]], Iterable[ViewShape[Any]]] = {}

    async def ask(self, query: Query[R], after: Token | None, timeout: timedelta) -> R:
        """The result, never older than the token.

        Raises Malformed (the query, or a token of another log), NotFound (no such query), NotCaughtUp, TimedOut,
        Unavailable.
        """
        handler = self._handler(query)
        valid = handler.shape.validated(query)[0]
        wanted = await self.position_of(after)
        value: R = (await self._fresh(handler, valid, wanted, timeout, timeout))[0]
        return value

    async def answer(  # noqa: PLR0913 - what a query may ask for
        self,
        query: Query[R],
        after: Token | None,
        timeout: timedelta,
        wait: timedelta,
        *,
        lenient: bool,
        checked: bool,
    ) -> Answer[R]:
        """As `ask`, with the circumstances, waiting for the views at most `wait`.

        A lenient query is answered with what there is when that is over; one that is `checked` is not checked again.
        """
        handler = self._handler(query)
        valid: Query[R] = query if checked else handler.shape.validated(query)[0]
        wanted = await self.position_of(after)
        stale = False
        try:
            value, seen = await self._fresh(handler, valid, wanted, timeout, wait)
        except NotCaughtUp:
            if not lenient:
                raise
            value, seen = await self._fresh(handler, valid, 0, timeout, wait)
            stale = True
        if not seen:
            return Answer(value, (await self._log.head()).position, NO_LAG, stale)
        position = min([generation.position for generation in seen.values()])
        parked = sum([generation.parked for generation in seen.values()])
        return Answer(value, position, await self._lag(position, await self._head_of_turn()), stale, parked)

    async def caught_up(self, after: Token, timeout: timedelta) -> None:
        """Waits until every view has reached the token. Raises NotCaughtUp, Malformed."""
        wanted = await self.position_of(after)
        deadline = _clock() + timeout.total_seconds()
        for shape in self._shapes.values():
            while True:
                async with self._store.snapshot() as snapshot:
                    generation = await snapshot.generation(shape)
                    letter = await snapshot.held(shape, None, wanted) if generation.parked else None
                behind = Behind(shape, generation, letter)
                if generation.live and generation.position >= wanted and not generation.astray and letter is None:
                    break
                await self._wait(behind, wanted, deadline)

    async def standings(self) -> list[Standing]:
        """How every view stands, all under one snapshot. Raises Unavailable."""
        head = await self._log.head()
        async with self._store.snapshot() as snapshot:
            return [await self._standing(shape, snapshot, head) for shape in self._shapes.values()]

    async def having(self, after: int, upto: int) -> dict[str, bool]:
        """Which views answer with all events after a position and up to another: applied, none of them parked."""
        async with self._store.snapshot() as snapshot:
            return {shape.name: await _has(snapshot, shape, after, upto) for shape in self._shapes.values()}

    async def _standing(self, shape: ViewShape[Any], snapshot: Snapshot, head: Head) -> Standing:
        try:
            generation = await snapshot.generation(shape)
        except NotCaughtUp as error:
            return Standing(shape.name, error.position, await self._lag(error.position, head), error.reason)
        except NeverFilled:
            return Standing(shape.name, 0, await self._lag(0, head), "no worker has run on it yet")
        position = generation.position
        failure = None if generation.failure is None else generation.failure.reason
        letters = await snapshot.dead_letters(shape) if generation.parked else 0
        return Standing(shape.name, position, await self._lag(position, head), failure, generation, letters)

    def _handler(self, query: Query[Any]) -> QueryHandler:
        handler = self._handlers.get(type(query))
        if handler is None:
            name = type(query).__name__
            known = [kind.__name__ for kind in self._handlers]
            raise NotFound(f"This context does not answer {name}{did_you_mean(name, known)}")
        return handler

    async def position_of(self, after: Token | None) -> int:
        """The position that a token names, 0 for none. Raises Malformed for one of another log, NotCaughtUp."""
        if after is None:
            return 0
        after = _token(after)
        if after.log_id != self._log.log_id:
            raise Malformed(f"Token {str(after)!r} is from another log than this one ({self._log.log_id})")
        head = await self._log.head()
        if after.position > head.position:
            reason = (
                f"the token is ahead of the log, which ends at {head.position}: the log lost its end, or it was forged"
            )
            raise NotCaughtUp("(all)", head.position, after.position, reason)
        return after.position

    async def _fresh(
        self, handler: QueryHandler, query: Query[Any], wanted: int, timeout: timedelta, wait: timedelta
    ) -> tuple[Any, Mapping[ViewShape[Any], Generation]]:
        """The result, and the generations that it was read from: all at the wanted position or after."""
        deadline = _clock() + wait.total_seconds()
        if wanted:
            for shape in self._reads.get(handler.query, ()):
                # What it read the last time, it will read again: waiting first saves running it in vain.
                await self._store.reached(shape, wanted, timedelta(seconds=deadline - _clock()))
        while True:
            value, views = await self._read(handler, query, wanted, timeout)
            if views.behind is None:
                self._reads[handler.query] = views.seen
                return value, views.seen
            await self._wait(views.behind, wanted, deadline)

    async def _read(
        self, handler: QueryHandler, query: Query[Any], wanted: int, timeout: timedelta
    ) -> tuple[Any, Views]:
        """The handler's answer under a snapshot, which counts for nothing where a view there was behind.

        A generation may be replaced, and dropped, between the look at it and at its rows: then it is asked again.
        """
        for _ in range(READS - 1):
            with suppress(RowsGone):
                return await self._read_once(handler, query, wanted, timeout)
        return await self._read_once(handler, query, wanted, timeout)

    async def _read_once(
        self, handler: QueryHandler, query: Query[Any], wanted: int, timeout: timedelta
    ) -> tuple[Any, Views]:
        try:
            with self._within(timeout):
                async with self._store.snapshot() as snapshot:
                    views = Views(snapshot, self._shapes, wanted)
                    try:
                        return await handler.function(query, views), views
                    except Behind:
                        return None, views
        except TimeoutError:
            raise TimedOut(f"Query {handler.query.__declared__.name}", timeout) from None

    async def _wait(self, behind: Behind, wanted: int, deadline: float) -> None:
        """Waits until the view may have come further. Raises NotCaughtUp where it cannot, or the time is over."""
        generation, name = behind.generation, behind.shape.name
        left = deadline - _clock()
        if (letter := behind.letter) is not None:
            reason = (
                f"a dead letter, event {letter.position}, holds back its {letter.hold}; "
                f"look at it: diptych projection letters {name}"
            )
            raise NotCaughtUp(name, letter.position - 1, wanted, reason, str(letter.hold))
        if (hindrance := generation.hindrance) is not None:
            raise NotCaughtUp(name, generation.position, wanted, hindrance)
        if left <= 0:
            raise NotCaughtUp(name, generation.position, wanted, generation.delay)
        await self._store.reached(behind.shape, wanted, timedelta(seconds=left))

    async def _head_of_turn(self) -> Head:
        """The log's head, read once for all answers of a turn of the event loop: a lag is not more exact than that."""
        if self._head is None:
            self._head = await self._log.head()
            asyncio.get_running_loop().call_soon(self._forget_head)
        return self._head

    def _forget_head(self) -> None:
        self._head = None

    async def _lag(self, position: int, head: Head) -> Lag:
        if position >= head.position:
            return NO_LAG
        oldest = await self._log.recorded_at(position + 1)
        age = datetime.now(UTC) - from_microseconds(oldest) if oldest is not None else timedelta(0)
        return Lag(head.position - position, max(age, timedelta(0)))


async def _has(snapshot: Snapshot, shape: ViewShape[Any], after: int, upto: int) -> bool:
    try:
        generation = await snapshot.generation(shape)
    except (NotCaughtUp, NeverFilled):
        return False
    if not generation.live or generation.position < upto or generation.astray:
        return False
    return not generation.parked or not await snapshot.dead_letters(shape, after, upto)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _token(given: object) -> Token:
    """A token, also where it is shown as the text that it is."""
    if isinstance(given, Token):
        return given
    if isinstance(given, str):
        return Token(given)
    raise Malformed(f"Expected a token, got {type(given).__name__}; a receipt has it as its `token`")
