"""What a user writes to decide: an aggregate's state, how events evolve it, and how commands are decided on it.

Declaring is all that happens here; `diptych.write.rules` makes running rules of it, and finds what is wrong with them.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, overload

from diptych.messages import Command, Event
from diptych.messages.meta import names
from diptych.write.moment import Moment
from diptych.write.policy import BY_DEFAULT, SnapshotPolicy

S = TypeVar("S")
C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
Events = TypeVar("Events", bound=Iterable[Event])


class Aggregate(Generic[S]):
    """A consistency boundary. Its events stand in one stream for each id: `name`, dash, the id.

    `id` names the field of every command that holds the id. `initial` is the state before the first event, an immutable
    value. With `boundary`, names of command fields that are tags, a decision sees not one stream but every event that
    the aggregate evolves and that carries one of those tags, and is kept only if no newer one came in between
    (the Dynamic Consistency Boundary).

    `snapshots` says when the state of a stream is kept, so that it need not be folded from its first event again:
    `every(100)` events, `never`, or a function of yours. Raise `version` when the evolves give another state for the
    same events: snapshots from before are not read any more.
    """

    def __init__(  # noqa: PLR0913 - what an aggregate is made of
        self,
        name: str,
        *,
        id: str,
        initial: S,
        boundary: str | tuple[str, ...] = (),
        version: int = 1,
        snapshots: SnapshotPolicy[S] = BY_DEFAULT,
    ) -> None:
        self.name = name
        self.id = id
        self.initial = initial
        self.boundary = names(boundary)
        self.version = version
        self.snapshots = snapshots
        self.deciders: list[Callable[..., Iterable[Event]]] = []
        self.evolvers: list[Callable[..., Any]] = []

    @overload
    def decide(self, decider: Callable[[S, C], Events], /) -> Callable[[S, C], Events]: ...
    @overload
    def decide(self, decider: Callable[[S, C, Moment], Events], /) -> Callable[[S, C, Moment], Events]: ...

    def decide(self, decider: Any, /) -> Any:
        """Declares how a command is decided.

        A decide is a pure function of state and command (and Moment, if it takes one) that yields the events to keep,
        or raises Rejected. No events means that there is nothing to do.
        """
        self.deciders.append(decider)
        return decider

    def evolve(self, evolver: Callable[[S, E], S], /) -> Callable[[S, E], S]:
        """Declares what an event does to the state: a pure function that gives the next state and never fails."""
        self.evolvers.append(evolver)
        return evolver
