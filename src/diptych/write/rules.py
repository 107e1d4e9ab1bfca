"""An aggregate's declarations, read and judged: which function decides which command, which evolves which event."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints
from uuid import UUID

from msgspec import Struct

from diptych.log import EventQuery, Match, tag
from diptych.log.conditions import STREAM_SEPARATOR, several
from diptych.messages import Command, Event, check_id
from diptych.messages.signature import is_message, options, place, read_signature
from diptych.write.aggregate import Aggregate
from diptych.write.moment import Moment
from diptych.write.policy import BY_DEFAULT, never
from diptych.write.state_shape import StateShape

ID_TYPES = (str, int, UUID)


class Decider(NamedTuple):
    """How one command is decided."""

    command: type[Command]
    function: Callable[..., Iterable[Event]]
    wants_moment: bool


class AggregateRules:
    """An aggregate's rules. Building it appends everything that is wrong to `problems`.

    `events` has every event that the aggregate yields or evolves. `state_shape` is how its state becomes a snapshot;
    None where it has none, and then `unkept` says why.
    """

    def __init__(self, aggregate: Aggregate[Any], problems: list[str]) -> None:
        self.aggregate = aggregate
        self.name = aggregate.name
        self.initial = aggregate.initial
        self.deciders: dict[type[Command], Decider] = {}
        self.evolvers: dict[type[Event], Callable[[Any, Any], Any]] = {}
        self.state_shape: StateShape | None = None
        self.unkept = ""
        self._yielded: dict[type[Event], Callable[..., Any]] = {}
        self._states: dict[Any, None] = {}
        self._problems = problems
        self._read_evolvers()
        self._read_deciders()
        self._judge()
        self._judge_snapshots()
        self.events = frozenset(self.evolvers) | frozenset(self._yielded)

    def boundary_query(self, command: Command) -> EventQuery:
        """The events that a decision about this command sees: for each tag, those evolved events that carry it."""
        matches: list[Match] = []
        for name in self.aggregate.boundary:
            types = frozenset(event.__declared__.name for event in self.evolvers if name in event.__declared__.tags)
            tags = [tag(name, check_id(value, f"$.{name}")) for value in several(getattr(command, name))]
            matches += [Match(types, frozenset({one})) for one in tags]
        return EventQuery(tuple(matches))

    def _read_evolvers(self) -> None:
        for function in self.aggregate.evolvers:
            try:
                event = self._evolved(function)
            except TypeError as error:
                self._problem(function, str(error))
                continue
            if (other := self.evolvers.get(event)) is not None:
                self._problem(function, f"evolves {event.__name__}, as {_name(other)} does already")
            self.evolvers[event] = function

    def _read_deciders(self) -> None:
        for function in self.aggregate.deciders:
            try:
                decider = self._decider(function)
            except TypeError as error:
                self._problem(function, str(error))
                continue
            if (other := self.deciders.get(decider.command)) is not None:
                self._problem(function, f"decides {decider.command.__name__}, as {_name(other.function)} does already")
            self.deciders[decider.command] = decider

    def _evolved(self, function: Callable[..., Any]) -> type[Event]:
        signature = read_signature(function)
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError("is a coroutine or a generator; evolve is a plain function that returns the next state")
        if len(signature.parameters) != 2:
            raise TypeError("takes two parameters: the state and the event")
        state, event = signature.parameters
        self._check_state(state.kind)
        if not is_message(event.kind, Event):
            raise TypeError(f"must take an event as its second parameter, not {event.kind!r}")
        if signature.returns is None or not set(options(signature.returns)) <= {Any, *options(state.kind)}:
            raise TypeError(f"must be annotated to give the next state, {state.kind!r}, not {signature.returns!r}")
        self._states.update(dict.fromkeys(options(signature.returns)))
        found: type[Event] = event.kind
        return found

    def _decider(self, function: Callable[..., Any]) -> Decider:
        signature = read_signature(function)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("is a coroutine; decide is a plain function, without I/O")
        if len(signature.parameters) not in (2, 3):
            raise TypeError("takes the state, the command and, if it wants it, a Moment")
        self._check_state(signature.parameters[0].kind)
        command = signature.parameters[1].kind
        if not is_message(command, Command):
            raise TypeError(f"must take a command as its second parameter, not {command!r}")
        wants_moment = len(signature.parameters) == 3
        if wants_moment and signature.parameters[2].kind is not Moment:
            raise TypeError("may take a Moment as its third parameter, and nothing else")
        for event in _yielded_events(signature.returns):
            self._yielded.setdefault(event, function)
        self._check_fields(command)
        return Decider(command, function, wants_moment)

    def _check_state(self, kind: Any) -> None:
        kinds = tuple([get_origin(option) or option for option in options(kind)])
        if kind is not Any and not isinstance(self.initial, kinds):
            raise TypeError(f"takes the state as {kind!r}, and the initial state is a {type(self.initial).__name__}")

    def _check_fields(self, command: type[Command]) -> None:
        decides = f"decides {command.__name__}"
        for name in (self.aggregate.id, *self.aggregate.boundary):
            if name not in command.__struct_fields__:
                raise TypeError(f"{decides}, which has no field {name!r}; {self.name!r} is found by it")
        try:
            id_type = get_type_hints(command)[self.aggregate.id]
        except NameError:  # the check of the command's shape says so
            return
        if not set(options(id_type)) <= set(ID_TYPES):
            raise TypeError(f"{decides}, whose id {self.aggregate.id!r} must be a str, an int or a UUID")

    def _judge(self) -> None:
        aggregate = self.aggregate
        if not aggregate.name or STREAM_SEPARATOR in aggregate.name or not aggregate.name.isprintable():
            self._problems.append(f"aggregate {aggregate.name!r} must have a name without a dash")
        if _is_mutable(aggregate.initial):
            self._problems.append(
                f"aggregate {aggregate.name!r} begins with a {type(aggregate.initial).__name__}, which all of its "
                f"streams would share and change; begin with an immutable value, such as a frozen dataclass"
            )
        if not aggregate.deciders:
            self._problems.append(f"aggregate {aggregate.name!r} decides no command")
        for event, function in self._yielded.items():
            if event not in self.evolvers:
                self._problem(
                    function, f"yields {event.__name__}, which nobody evolves in aggregate {aggregate.name!r}"
                )
        for name in aggregate.boundary:
            if not any(name in event.__declared__.tags for event in self.evolvers):
                self._problems.append(
                    f"aggregate {aggregate.name!r} has the boundary {name!r}, which no event that it evolves has as tag"
                )
        for event in self.evolvers if aggregate.boundary else ():
            if not set(aggregate.boundary) & set(event.__declared__.tags):
                self._problem(
                    self.evolvers[event], f"evolves {event.__name__}, which carries no tag of {aggregate.boundary}"
                )

    def _judge_snapshots(self) -> None:
        """Finds how states become snapshots. That they cannot is wrong only where somebody asked for it."""
        aggregate = self.aggregate
        if aggregate.version < 1:
            self._problems.append(
                f"aggregate {aggregate.name!r} has version={aggregate.version}; versions are counted from 1"
            )
        if aggregate.snapshots is never:
            self.unkept = "it says snapshots=never"
        elif aggregate.boundary:
            self.unkept = "it decides over a boundary, which is no stream"
        else:
            try:
                self.state_shape = StateShape(self._states, aggregate.version, self.initial)
            except (TypeError, NameError) as error:
                self.unkept = f"its state cannot be kept: {error}"
        if self.unkept and aggregate.snapshots not in (never, BY_DEFAULT):
            self._problems.append(
                f"aggregate {aggregate.name!r} has no snapshots, since {self.unkept}; "
                "make the state of types that JSON gives back, or say snapshots=never"
            )

    def _problem(self, function: Callable[..., Any], text: str) -> None:
        self._problems.append(f"{place(function)} {text}")


def _yielded_events(returns: Any) -> list[type[Event]]:
    arguments = get_args(returns)
    if returns is None or not arguments:
        raise TypeError("must be annotated to give its events, such as Iterator[OrderPlaced]")
    first = arguments[0]
    events = [option for option in options(first) if option is not Event]
    if get_origin(returns) is tuple:
        events = [option for argument in arguments if argument is not ... for option in options(argument)]
    if not events or not all(is_message(event, Event) for event in events):
        raise TypeError(
            f"must be annotated with the events that it gives, such as Iterator[OrderPlaced], not {returns!r}"
        )
    return events


def _is_mutable(value: object) -> bool:
    if is_dataclass(value):
        return not getattr(type(value), "__dataclass_params__").frozen  # noqa: B009 - it has no type
    if isinstance(value, Struct):
        return not value.__struct_config__.frozen
    return isinstance(value, (list, dict, set, bytearray))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
