"""The domain stage: events are folded to a state, and a command is decided on it. Nothing is read or kept here."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from diptych.errors import Malformed
from diptych.log import EventCatalogue, NewEvent, StoredEvent
from diptych.messages import Command, Event, Shape
from diptych.write.ids import uuid7
from diptych.write.moment import Moment
from diptych.write.rules import AggregateRules, Decider
from diptych.write.surroundings import Surroundings


class Route(NamedTuple):
    """How one command is carried out: who decides it, how it is read, and its published name."""

    rules: AggregateRules
    decider: Decider
    shape: Shape[Any]
    name: bytes


class Attempt(NamedTuple):
    """A valid command on its way: what it is, where it goes, and what is kept with its events."""

    route: Route
    command: Command
    stream: str
    fingerprint: bytes
    moment: Moment
    metadata: bytes
    expected_version: int | None


Decision = list[tuple[NewEvent, Event]]
"""The events of a decision, each as it will be stored and as it will be read back."""


def fold(catalogue: EventCatalogue, rules: AggregateRules, state: Any, stored: Iterable[StoredEvent]) -> Any:
    """The state after these stored events. Raises UnreadableEvent."""
    evolvers = rules.evolvers
    retired = catalogue.retired
    for one in stored:
        if one.type in retired:
            continue
        event = catalogue.decode(one)
        evolve = evolvers.get(type(event))
        if evolve is None:
            raise catalogue.unreadable(one, f"aggregate {rules.name!r} does not evolve it")
        state = evolve(state, event)
    return state


def evolved(rules: AggregateRules, state: Any, events: Iterable[Event]) -> Any:
    """The state after these events, which are the aggregate's own."""
    for event in events:
        state = rules.evolvers[type(event)](state, event)
    return state


class Domain:
    """Decides, by the rules of aggregates."""

    def __init__(self, catalogue: EventCatalogue, around: Surroundings) -> None:
        self._catalogue = catalogue
        self._around = around

    def decide(self, attempt: Attempt, state: Any) -> Decision:
        """What the command leads to in this state. Raises Rejected; TypeError, ValueError for what is no decision."""
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

    def _encode(self, event: Event, attempt: Attempt, event_id: bytes) -> tuple[NewEvent, Event]:
        if type(event) not in attempt.route.rules.events:
            name = getattr(attempt.route.decider.function, "__name__", "decide")
            raise TypeError(f"{name} gave {type(event).__name__}, which its annotation does not name")
        try:
            return self._catalogue.encode(event, event_id)
        except Malformed as error:
            name = getattr(attempt.route.decider.function, "__name__", "decide")
            raise ValueError(f"{name} gave an event that cannot be kept: {error}") from error


def _listed(decider: Decider, events: Any) -> list[Event]:
    try:
        iterator = iter(events)
    except TypeError:
        given = type(events).__name__
        name = decider.function.__name__
        raise TypeError(f"{name} gave {given}; a decide yields its events, or returns a list of them") from None
    return list(iterator)
