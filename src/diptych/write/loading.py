"""From a stream to its state, and on: by a state in memory, a snapshot, and the events after it, whatever there is.

Only the events are the truth. What was folded of them saves the next load, and is believed as far as it is verified: a
state in memory by the append's condition, a snapshot by the log's event at its end.
"""

import logging
from typing import Any, NamedTuple

from diptych.errors import Malformed
from diptych.log import Anchor, Condition, EventCatalogue, EventLog, NoneNewer, Outcome, StreamAt
from diptych.write.domain import Attempt, Decision, evolved, fold
from diptych.write.keeper import SnapshotKeeper
from diptych.write.newest import NewestEvent
from diptych.write.rules import AggregateRules
from diptych.write.snapshots import Snapshots, Start
from diptych.write.states import States

log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """An aggregate's state, the condition under which a decision on it holds, and the version of its last snapshot."""

    state: Any
    version: int
    condition: Condition
    snapshot: int = 0


class Loading:
    """Loads states, and keeps them. It belongs to one event loop."""

    def __init__(self, catalogue: EventCatalogue, events: EventLog, states: States, snapshots: Snapshots) -> None:
        self._catalogue = catalogue
        self._log = events
        self._states = states
        self._newest = NewestEvent(events)
        self._snapshots = snapshots
        self._keeper = SnapshotKeeper(snapshots)

    async def close(self) -> None:
        """Waits, for a while, until the snapshots that are due are made."""
        await self._keeper.close()

    async def kept(self, attempt: Attempt) -> Loaded | None:
        """The state that is kept in memory, if any, and if the log has not lost what it was folded from."""
        if attempt.route.rules.aggregate.boundary:
            return None
        if not await self._newest.is_there():
            log.warning("The log has lost its end: it was restored, or has failed over. No kept state is believed.")
            self._states.clear()
        kept = self._states.get(attempt.stream)
        return None if kept is None else Loaded(kept.state, kept.version, StreamAt(kept.version), kept.snapshot)

    def forget(self, stream: str) -> None:
        """What is kept in memory of the stream is believed no more."""
        self._states.forget(stream)

    async def load(self, attempt: Attempt) -> Loaded:
        """The state as the log has it now: what is kept of it, and the events since."""
        rules, stream = attempt.route.rules, attempt.stream
        if rules.aggregate.boundary:
            return await self._load_boundary(attempt)
        kept = self._states.get(stream)
        if kept is None:
            start = await self._snapshots.start(rules, stream)
        else:
            start = Start(kept.state, kept.snapshot, *await self._log.load(stream, kept.version))
        state, snapshot, events, version = start
        if events:
            state = fold(self._catalogue, rules, state, events)
        if events or (kept is None and version):
            await self._newest.was_read(events[-1].position if events else None)
            self._states.keep(stream, state, version, sum([len(event.data) for event in events]), snapshot)
        return Loaded(state, version, StreamAt(version), snapshot)

    async def _load_boundary(self, attempt: Attempt) -> Loaded:
        rules = attempt.route.rules
        if attempt.expected_version is not None:
            raise Malformed(
                f"Aggregate {rules.name!r} decides over a boundary, not over a version", "$.expected_version"
            )
        query = rules.boundary_query(attempt.command)
        found, head = await self._log.select(query)
        return Loaded(fold(self._catalogue, rules, rules.initial, found), 0, NoneNewer(query, head))

    def advance(self, attempt: Attempt, loaded: Loaded, decision: Decision, outcome: Outcome) -> None:
        """Keeps the state after the events that were just appended to it, and has a snapshot made where one is due."""
        rules, stream, version = attempt.route.rules, attempt.stream, outcome.version
        try:
            state = evolved(rules, loaded.state, [event for _, event in decision])
        except Exception:  # noqa: BLE001 - the command is kept; whoever loads the stream next hears of it
            self._states.forget(stream)
            return
        snapshot = loaded.snapshot
        shape = rules.state_shape
        if shape is not None and _is_due(rules, version - snapshot, state) and self._keeper.keep(rules, shape, stream):
            snapshot = version
        self._newest.appended(Anchor(outcome.position, decision[-1][0].event_id))
        self._states.keep(stream, state, version, sum([len(event.data) for event, _ in decision]), snapshot)


def _is_due(rules: AggregateRules, since: int, state: object) -> bool:
    try:
        return rules.aggregate.snapshots(since, state)
    except Exception:  # a user's own policy may raise anything; the command is kept whatever it is
        log.exception("The snapshot policy of aggregate %r failed", rules.name)
        return False
