"""The left panel at work: every command takes the same stages, and nothing is kept before the last.

shape → domain (load, decide) → append, under the condition that the load saw → receipt. Where another command came in
between, load and decide again.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from diptych.errors import (
    CommandIdReused,
    Conflict,
    DiptychError,
    Malformed,
    NotFound,
    PreconditionFailed,
    Rejected,
)
from diptych.log import (
    Append,
    Condition,
    EventCatalogue,
    EventLog,
    Metadata,
    NewEvent,
    NoneNewer,
    Outcome,
    StoredEvent,
    StreamAt,
    id_text,
    stream_name,
)
from diptych.messages import Command, Event, Shape, check_id
from diptych.messages.words import did_you_mean
from diptych.write.ids import uuid7
from diptych.write.journal import CommandState, Journal
from diptych.write.moment import Moment
from diptych.write.receipt import Receipt, receipt_of
from diptych.write.rules import AggregateRules, Decider
from diptych.write.turns import Turns

ATTEMPTS = 12
"""How often a command is decided when others keep coming in between, before its Conflict is the caller's."""

FIRST_WAIT = 0.001
"""Seconds that the second attempt waits at most; each further one twice as long, all with jitter."""


class Surroundings(NamedTuple):
    """What the write side takes from outside itself, so that a test can hold it.

    `now` gives seconds since 1970 UTC; `randomness` so many random bytes; `sleep` waits so many seconds.
    """

    now: Callable[[], float]
    randomness: Callable[[int], bytes]
    sleep: Callable[[float], Any]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What travels with a command: its id, what it belongs to and comes from, who sent it, which version they saw."""

    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    expected_version: int | None = None


class Loaded(NamedTuple):
    """An aggregate's state, and the condition under which a decision on it holds."""

    state: Any
    version: int
    condition: Condition


Read = Callable[[], tuple[Any, bytes]]
"""Gives the validated command and its canonical JSON. Raises Malformed."""


class _Route(NamedTuple):
    rules: AggregateRules
    decider: Decider
    shape: Shape[Any]
    name: bytes


class WriteSide:
    """Executes the commands of a context against its log."""

    def __init__(
        self, aggregates: Iterable[AggregateRules], catalogue: EventCatalogue, log: EventLog, around: Surroundings
    ) -> None:
        self._catalogue = catalogue
        self._log = log
        self._around = around
        self._turns = Turns()
        self.journal = Journal()
        self._routes = {
            command: _Route(rules, decider, Shape(command), command.__declared__.name.encode())
            for rules in aggregates
            for command, decider in rules.deciders.items()
        }
        self._by_name = {route.name.decode(): route for route in self._routes.values()}

    def new_command_id(self) -> str:
        """An id that no command has yet."""
        return self._new_command_id(self._around.now())

    async def execute(self, command: Command, envelope: Envelope) -> Receipt:
        """Validates, decides and keeps. See `App.execute` for what it raises."""
        route = self._route(command)
        return await self._carry_out(route, partial(route.shape.validated, command), envelope)

    async def receive(self, name: str, data: bytes, envelope: Envelope) -> Receipt:
        """As `execute`, for the JSON of a command of this published name."""
        route = self._by_name.get(name)
        if route is None:
            raise NotFound(f"This context does not decide {name!r}{did_you_mean(name, self._by_name)}")
        return await self._carry_out(route, partial(route.shape.received, data), envelope)

    async def _carry_out(self, route: _Route, read: Read, envelope: Envelope) -> Receipt:
        """Every stage, with the journal kept."""
        now = self._around.now()
        command_id = self._command_id(envelope, now)
        self.journal.enter(command_id, CommandState.RECEIVED)
        try:
            outcome = await self._in_turn(self._validate(route, read, command_id, envelope, now))
        except DiptychError as error:
            if error.status < 500 and not isinstance(error, CommandIdReused):
                self.journal.refused(command_id, error)
            else:
                self.journal.settled(command_id)
            raise
        except BaseException:  # whatever it was, a cancelled caller included, the command is in flight no more
            self.journal.settled(command_id)
            raise
        self.journal.settled(command_id)
        return receipt_of(outcome, self._log.log_id)

    def _validate(self, route: _Route, read: Read, command_id: str, envelope: Envelope, now: float) -> "_Attempt":
        valid, body = read()
        id_field = route.rules.aggregate.id
        stream = stream_name(route.rules.name, check_id(getattr(valid, id_field), f"$.{id_field}"))
        return _Attempt(
            route,
            valid,
            stream,
            hashlib.sha256(route.name + b"\0" + body).digest()[:16],
            Moment(datetime.fromtimestamp(now, UTC), command_id, envelope.actor),
            _metadata(command_id, envelope),
            envelope.expected_version,
        )

    async def _in_turn(self, attempt: "_Attempt") -> Outcome:
        await self._turns.take(attempt.stream)
        try:
            return await self._settle(attempt)
        finally:
            self._turns.give(attempt.stream)

    def _route(self, command: Command) -> _Route:
        route = self._routes.get(type(command))
        if route is None:
            name = type(command).__name__
            known = [kind.__name__ for kind in self._routes]
            raise NotFound(f"This context does not decide {name}{did_you_mean(name, known)}")
        return route

    def _command_id(self, envelope: Envelope, now: float) -> str:
        for field in ("command_id", "correlation_id", "causation_id", "actor", "traceparent"):
            if (value := getattr(envelope, field)) is not None:
                if not isinstance(value, str):
                    raise Malformed(f"Expected text, got {type(value).__name__}", f"$.{field}")
                check_id(value, f"$.{field}")
        _check_version(envelope.expected_version)
        return envelope.command_id or self._new_command_id(now)

    def _new_command_id(self, now: float) -> str:
        return id_text(uuid7(int(now * 1000), self._around.randomness(10)))

    async def _settle(self, attempt: "_Attempt") -> Outcome:
        """Loads, decides and appends until nobody came in between, a bounded number of times."""
        for number in range(1, ATTEMPTS + 1):
            try:
                return await self._try(attempt)
            except Conflict:
                if number == ATTEMPTS:
                    raise
            jitter = self._around.randomness(1)[0] / 255
            await self._around.sleep(FIRST_WAIT * 2 ** (number - 1) * jitter)
        raise AssertionError("unreachable")

    async def _try(self, attempt: "_Attempt") -> Outcome:
        self.journal.enter(attempt.moment.command_id, CommandState.VALIDATING)
        loaded = await self._load(attempt)
        try:
            if attempt.expected_version not in (None, loaded.version):
                raise PreconditionFailed(  # noqa: TRY301 - handled as a rejection is
                    attempt.stream, attempt.expected_version or 0, loaded.version
                )
            events = self._decide(attempt, loaded.state)
        except (Rejected, PreconditionFailed) as refusal:
            # A command that was accepted before is told so, and not that its own events are in its way.
            outcome = await self._log.outcome(attempt.moment.command_id)
            if outcome is None:
                raise
            if outcome.fingerprint != attempt.fingerprint:
                raise CommandIdReused(outcome.command_id) from refusal
            return outcome
        self.journal.enter(attempt.moment.command_id, CommandState.EXECUTING)
        return await self._log.append(
            Append(
                attempt.moment.command_id,
                attempt.fingerprint,
                attempt.stream,
                events,
                loaded.condition,
                attempt.metadata,
            )
        )

    async def _load(self, attempt: "_Attempt") -> Loaded:
        rules = attempt.route.rules
        if rules.aggregate.boundary:
            if attempt.expected_version is not None:
                raise Malformed(
                    f"Aggregate {rules.name!r} decides over a boundary, not over a version", "$.expected_version"
                )
            query = rules.boundary_query(attempt.command)
            found, head = await self._log.select(query)
            return Loaded(self._evolve(rules, found), 0, NoneNewer(query, head))
        events, version = await self._log.load(attempt.stream)
        return Loaded(self._evolve(rules, events), version, StreamAt(version))

    def _evolve(self, rules: AggregateRules, events: Iterable[StoredEvent]) -> Any:
        state = rules.initial
        evolvers = rules.evolvers
        retired = self._catalogue.retired
        for stored in events:
            if stored.type in retired:
                continue
            event = self._catalogue.decode(stored)
            evolve = evolvers.get(type(event))
            if evolve is None:
                raise self._catalogue.unreadable(stored, f"aggregate {rules.name!r} does not evolve it")
            state = evolve(state, event)
        return state

    def _decide(self, attempt: "_Attempt", state: Any) -> list[NewEvent]:
        decider = attempt.route.decider
        extra = (attempt.moment,) if decider.wants_moment else ()
        decided = _listed(decider, decider.function(state, attempt.command, *extra))
        if not decided:
            return []
        milliseconds = int(self._around.now() * 1000)
        randomness = self._around.randomness(10 * len(decided))
        return [
            self._encode(event, attempt, uuid7(milliseconds, randomness[10 * number : 10 * number + 10]))
            for number, event in enumerate(decided)
        ]

    def _encode(self, event: Event, attempt: "_Attempt", event_id: bytes) -> NewEvent:
        if type(event) not in attempt.route.rules.events:
            name = getattr(attempt.route.decider.function, "__name__", "decide")
            raise TypeError(f"{name} gave {type(event).__name__}, which its annotation does not name")
        try:
            return self._catalogue.encode(event, event_id)[0]
        except Malformed as error:
            name = getattr(attempt.route.decider.function, "__name__", "decide")
            raise ValueError(f"{name} gave an event that cannot be kept: {error}") from error


def _check_version(version: object) -> None:
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise Malformed(f"Expected a version, got {type(version).__name__}", "$.expected_version")


def _listed(decider: Decider, events: Any) -> list[Event]:
    try:
        iterator = iter(events)
    except TypeError:
        given = type(events).__name__
        name = decider.function.__name__
        raise TypeError(f"{name} gave {given}; a decide yields its events, or returns a list of them") from None
    return list(iterator)


class _Attempt(NamedTuple):
    route: _Route
    command: Any
    stream: str
    fingerprint: bytes
    moment: Moment
    metadata: bytes
    expected_version: int | None


def _metadata(command_id: str, envelope: Envelope) -> bytes:
    return Metadata(
        command_id=command_id,
        correlation_id=envelope.correlation_id or "",
        causation_id=envelope.causation_id or "",
        actor=envelope.actor,
        traceparent=envelope.traceparent,
    ).stored()
