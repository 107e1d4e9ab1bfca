"""A context that is open on a store: commands go in, answers come out."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from diptych.app.deadlines import Deadlines
from diptych.app.imports import Import, LineReader
from diptych.app.randomness import Randomness
from diptych.app.status import CommandStatus, accepted, refused
from diptych.errors import Malformed, NotFound, Unavailable
from diptych.log import (
    EventCatalogue,
    EventLog,
    Recorded,
    SnapshotStore,
    Span,
    Token,
    last_before,
    pages,
    tag,
    to_microseconds,
)
from diptych.messages import Command, Event, Query
from diptych.read import ASK_TIMEOUT, Answer, QueryHandler, QuerySide, ReadableViews, Standing, ViewShape
from diptych.write import AggregateRules, Envelope, Receipt, States, Surroundings, WriteSide

R = TypeVar("R")

EVENTS_PAGE = 500
"""Events that `App.events` reads at a time."""


class App:
    """What `BoundedContext.open` gives. It belongs to the event loop that it was opened in."""

    def __init__(  # noqa: PLR0913 - the parts that are composed here
        self,
        *,
        aggregates: Sequence[AggregateRules],
        catalogue: EventCatalogue,
        queries: Iterable[QueryHandler],
        shapes: Sequence[ViewShape[Any]],
        log: EventLog,
        views: ReadableViews,
        snapshots: SnapshotStore,
    ) -> None:
        self.log = log
        self.deadlines = Deadlines()
        self._closed = False
        self._aggregates = aggregates
        self.catalogue = catalogue
        around = Surroundings(now=time.time, randomness=Randomness(), sleep=asyncio.sleep)
        self._write = WriteSide(aggregates, catalogue, log, around, states=States(), snapshots=snapshots)
        self._read = QuerySide(queries, {shape.view: shape for shape in shapes}, log, views, self.deadlines.within)

    async def close(self) -> None:
        """Whatever is asked of the app from now on is Unavailable. Waits, for a while, for snapshots that are due."""
        self._closed = True
        await self._write.close()

    @property
    def _left(self) -> WriteSide:
        self._check_open()
        return self._write

    @property
    def _right(self) -> QuerySide:
        self._check_open()
        return self._read

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("This app is closed; open the context again.")

    async def execute(  # noqa: PLR0913 - what travels with a command
        self,
        command: Command,
        *,
        command_id: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        actor: str | None = None,
        traceparent: str | None = None,
        expected_version: int | None = None,
    ) -> Receipt:
        """Checks, decides and keeps a command, durably. With the same `command_id` again it gives the first receipt.

        Raises Malformed (its shape), NotFound (nobody decides it), Rejected (a business rule), PreconditionFailed (the
        stream is not at `expected_version`), Conflict (others kept coming in between), CommandIdReused, Unavailable
        (nothing was kept), OutcomeUnknown (send it again with the same id), UnreadableEvent (in its stream),
        ProjectionFailed (a view that is kept in step with the log).
        """
        envelope = Envelope(
            command_id=command_id,
            correlation_id=correlation_id,
            causation_id=causation_id,
            actor=actor,
            traceparent=traceparent,
            expected_version=expected_version,
        )
        return await self._left.execute(command, envelope)

    async def receive(self, name: str, data: bytes, envelope: Envelope) -> Receipt:
        """As `execute`, for the JSON of a command of this published name: how commands come in from outside."""
        return await self._left.receive(name, data, envelope)

    def new_command_id(self) -> str:
        """A command id, for a caller who has to know it before the command is sent."""
        return self._write.new_command_id()

    def in_flight(self, command_id: str) -> bool:
        """Whether this process is at work on a command of this id."""
        return self._write.journal.in_flight(command_id) is not None

    async def status(self, command_id: str) -> CommandStatus:
        """What became of a command. Raises NotFound for one that nobody knows of, or not any more; Unavailable."""
        outcome = await self.log.outcome(command_id)
        if outcome is not None:
            views = await self._right.having(outcome.position - len(outcome.types), outcome.position)
            return accepted(outcome, self.log.log_id, views)
        if (state := self._write.journal.in_flight(command_id)) is not None:
            return CommandStatus(command_id=command_id, state=state)
        if (rejection := self._write.journal.rejection(command_id)) is not None:
            return refused(command_id, rejection)
        raise NotFound(f"No command {command_id!r} is in flight, was accepted, or was refused here lately.")

    async def standings(self) -> list[Standing]:
        """How every view stands. Raises Unavailable."""
        return await self._right.standings()

    async def ask(self, query: Query[R], *, after: Token | None = None, timeout: timedelta = ASK_TIMEOUT) -> R:
        """The bare result of a query, never older than the token.

        Raises Malformed (the query, or a token of another log), NotFound (nobody answers it), NotCaughtUp (with what
        holds the view back), TimedOut, Unavailable.
        """
        return await self._right.ask(query, after, timeout)

    async def answer(  # noqa: PLR0913 - what a query may ask for
        self,
        query: Query[R],
        *,
        after: Token | None = None,
        timeout: timedelta = ASK_TIMEOUT,
        wait: timedelta | None = None,
        lenient: bool = False,
        checked: bool = False,
    ) -> Answer[R]:
        """The result with its position and lag; with what there is when the time is over, if `lenient`.

        `wait` is how long the views may take to reach the token, where that is not `timeout`. `checked` says that the
        query came in as JSON and was checked on the way, as the gateway's are: it is not checked again.
        """
        return await self._right.answer(
            query, after, timeout, timeout if wait is None else wait, lenient=lenient, checked=checked
        )

    async def token(self) -> Token:
        """The token of the log's present end: a query after it sees everything that is kept by now."""
        return Token.at(self.log.log_id, (await self.log.head()).position)

    async def events(  # noqa: PLR0913 - by what events are found
        self,
        *,
        after: Token | None = None,
        upto: Token | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        types: Iterable[type[Event]] = (),
        tags: Mapping[str, object] | None = None,
        stream: str | None = None,
        category: str | None = None,
        backwards: bool = False,
    ) -> AsyncGenerator[Recorded[Any]]:
        """The log's events in order with their records, after a token or from the first, up to a token or to the end.

        `since` and `until` are aware times: recorded then or later, and before. Events have one of the types and all of
        the tags, and belong to the stream or to the streams of the category. Retired events are passed over. Memory
        stays flat. Raises UnreadableEvent, Unavailable, and Malformed for a token of another log, a time without a
        zone, or what no event can have, such as a category with a dash.
        """
        lower, upper = (
            [await self._right.position_of(after)],
            [await self._right.position_of(upto or await self.token())],
        )
        if since is not None:
            lower.append(await last_before(self.log, microseconds_of(since, "$.since")))
        if until is not None:
            upper.append(await last_before(self.log, microseconds_of(until, "$.until")))
        span = Span(
            after=max(lower),
            before=min(upper) + 1,
            types=frozenset(kind.__declared__.name for kind in types),
            tags=frozenset(tag(name, value) for name, value in (tags or {}).items()),
            stream=stream,
            category=category,
            backwards=backwards,
        )
        span.check()
        async for page in pages(self.log, span, EVENTS_PAGE):
            for record in page:
                if record.type not in self.catalogue.retired:
                    yield self.catalogue.recorded(record)

    def import_events(self, lines: Iterable[bytes] | AsyncIterable[bytes]) -> Import:
        """An import of events from elsewhere, to be run: `await app.import_events(lines).run()`.

        Each line is a JSON object with `stream`, `type` and `data`, and what else `event-store stream --json` prints.
        """
        self._check_open()
        return Import(LineReader(self._aggregates, self.catalogue), self.log, lines)

    async def caught_up(self, after: Token, *, timeout: timedelta = ASK_TIMEOUT) -> None:
        """Waits until every view has reached the token. Raises NotCaughtUp, Malformed."""
        await self._right.caught_up(after, timeout)


def microseconds_of(moment: datetime, path: str) -> int:
    """Microseconds since 1970 of an aware time. Raises Malformed for one without a zone."""
    if moment.tzinfo is None:
        raise Malformed("Expected a time with a zone", path)
    return to_microseconds(moment)
