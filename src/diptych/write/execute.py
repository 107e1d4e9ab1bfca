"""The left panel at work: every command takes the same stages, and nothing is kept before the last.

shape → domain (load, decide) → append, under the condition that the load saw → receipt. Where another command came in
between, load and decide again. A state that was kept saves the load; what it leads to counts only if the append finds
the stream where the state left it, so a decision without events, and every refusal, is made again on what is read then.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from diptych.errors import (
    CommandIdReused,
    Conflict,
    DiptychError,
    Malformed,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Rejected,
)
from diptych.log import (
    Append,
    EventCatalogue,
    EventLog,
    FirstOutcome,
    Metadata,
    Outcome,
    SnapshotStore,
    id_text,
    stream_name,
)
from diptych.messages import Command, Shape, check_id
from diptych.messages.words import did_you_mean
from diptych.write.domain import Attempt, Decision, Domain, Route
from diptych.write.ids import uuid7
from diptych.write.journal import CommandState, Journal
from diptych.write.loading import Loaded, Loading
from diptych.write.moment import Moment
from diptych.write.receipt import Receipt, receipt_of
from diptych.write.rules import AggregateRules
from diptych.write.snapshots import Snapshots
from diptych.write.states import States
from diptych.write.surroundings import Surroundings
from diptych.write.turns import Turns

ATTEMPTS = 12
"""How often a command is decided when others keep coming in between, before its Conflict is the caller's."""

FIRST_WAIT = 0.001
"""Seconds that the second attempt waits at most; each further one twice as long, all with jitter."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What travels with a command: its id, what it belongs to and comes from, who sent it, which version they saw."""

    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    expected_version: int | None = None


Read = Callable[[], tuple[Any, bytes]]
"""Gives the validated command and its canonical JSON. Raises Malformed."""


class WriteSide:
    """Executes the commands of a context against its log."""

    def __init__(  # noqa: PLR0913 - what a left panel is made of
        self,
        aggregates: Iterable[AggregateRules],
        catalogue: EventCatalogue,
        log: EventLog,
        around: Surroundings,
        *,
        states: States,
        snapshots: SnapshotStore,
    ) -> None:
        self._domain = Domain(catalogue, around)
        self._log = log
        self._around = around
        self._loading = Loading(catalogue, log, states, Snapshots(catalogue, log, snapshots))
        self._turns = Turns()
        self.journal = Journal()
        self._routes = {
            command: Route(rules, decider, Shape(command), command.__declared__.name.encode())
            for rules in aggregates
            for command, decider in rules.deciders.items()
        }
        self._by_name = {route.name.decode(): route for route in self._routes.values()}

    async def close(self) -> None:
        """Waits, for a while, until the snapshots that are due are made."""
        await self._loading.close()

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

    async def _carry_out(self, route: Route, read: Read, envelope: Envelope) -> Receipt:
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

    def _validate(self, route: Route, read: Read, command_id: str, envelope: Envelope, now: float) -> Attempt:
        valid, body = read()
        id_field = route.rules.aggregate.id
        stream = stream_name(route.rules.name, check_id(getattr(valid, id_field), f"$.{id_field}"))
        return Attempt(
            route,
            valid,
            stream,
            hashlib.sha256(route.name + b"\0" + body).digest()[:16],
            Moment(datetime.fromtimestamp(now, UTC), command_id, envelope.actor),
            _metadata(command_id, envelope),
            envelope.expected_version,
        )

    async def _in_turn(self, attempt: Attempt) -> Outcome:
        await self._turns.take(attempt.stream)
        try:
            return await self._settle(attempt)
        finally:
            self._turns.give(attempt.stream)

    def _route(self, command: Command) -> Route:
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

    async def _settle(self, attempt: Attempt) -> Outcome:
        """Loads, decides and appends until nobody came in between, a bounded number of times."""
        for number in range(1, ATTEMPTS + 1):
            try:
                return await self._try(attempt, again=number > 1)
            except Conflict:
                if number == ATTEMPTS:
                    raise
                if number > 1:  # a log that lost its end would never agree with a state from before
                    self._loading.forget(attempt.stream)
            jitter = self._around.randomness(1)[0] / 255
            await self._around.sleep(FIRST_WAIT * 2 ** (number - 1) * jitter)
        raise AssertionError("unreachable")

    async def _try(self, attempt: Attempt, *, again: bool) -> Outcome:
        """Decides on the state that was kept, or else on one that is read now. Raises Conflict."""
        self.journal.enter(attempt.moment.command_id, CommandState.VALIDATING)
        kept = None if again else await self._loading.kept(attempt)
        if kept is not None and (decision := self._lightly(attempt, kept)) is not None:
            return await self._append(attempt, kept, decision)
        loaded = await self._loading.load(attempt)
        try:
            decision = self._decide(attempt, loaded)
        except (Rejected, PreconditionFailed) as refusal:
            # A command that was accepted before is told so, and not that its own events are in its way.
            outcome = await self._log.outcome(attempt.moment.command_id)
            if outcome is None:
                raise
            if outcome.fingerprint != attempt.fingerprint:
                raise CommandIdReused(outcome.command_id) from refusal
            return outcome
        return await self._append(attempt, loaded, decision)

    def _lightly(self, attempt: Attempt, kept: Loaded) -> Decision | None:
        """A decision on a kept state, or None where that would not be verified by the append: it gave no events."""
        try:
            return self._decide(attempt, kept) or None
        except Exception:  # noqa: BLE001 - whatever it was, it is believed only of the state that the log has now
            return None

    def _decide(self, attempt: Attempt, loaded: Loaded) -> Decision:
        if attempt.expected_version not in (None, loaded.version):
            raise PreconditionFailed(attempt.stream, attempt.expected_version or 0, loaded.version)
        return self._domain.decide(attempt, loaded.state)

    async def _append(self, attempt: Attempt, loaded: Loaded, decision: Decision) -> Outcome:
        self.journal.enter(attempt.moment.command_id, CommandState.EXECUTING)
        new = [event for event, _ in decision]
        append = Append(
            attempt.moment.command_id, attempt.fingerprint, attempt.stream, new, loaded.condition, attempt.metadata
        )
        try:
            outcome = await self._log.append(append)
        except OutcomeUnknown:
            self._loading.forget(attempt.stream)
            raise
        if new and loaded.version and isinstance(outcome, FirstOutcome):
            # A stream that has just begun is kept when somebody comes back to it: many are never asked again. And a
            # boundary has no version.
            self._loading.advance(attempt, loaded, decision, outcome)
        return outcome


def _check_version(version: object) -> None:
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise Malformed(f"Expected a version, got {type(version).__name__}", "$.expected_version")


def _metadata(command_id: str, envelope: Envelope) -> bytes:
    return Metadata(
        command_id=command_id,
        correlation_id=envelope.correlation_id or "",
        causation_id=envelope.causation_id or "",
        actor=envelope.actor,
        traceparent=envelope.traceparent,
    ).stored()
