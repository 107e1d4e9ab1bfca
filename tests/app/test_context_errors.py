"""A context that makes no sense does not build, and says everything that is wrong with it at once."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import pytest

from diptych import (
    Aggregate,
    BoundedContext,
    Command,
    ContextError,
    Event,
    Meta,
    Moment,
    Projection,
    Query,
    Recorded,
    Scale,
    View,
    Views,
)


@dataclass(frozen=True, slots=True)
class State:
    value: int = 0


class Do(Command):
    thing_id: str


class Undo(Command):
    thing_id: str


class Done(Event):
    thing_id: str


class Undone(Event):
    thing_id: str


class Thing(View, key="thing_id"):
    thing_id: str


class Count(Query[int]):
    pass


def do(state: State, command: Do) -> Iterator[Done]:
    yield Done(thing_id=command.thing_id)


def done(state: State, event: Done) -> State:
    return state


def thing_done(row: Thing | None, event: Done) -> Thing:
    return Thing(thing_id=event.thing_id)


async def count(query: Count, views: Views) -> int:
    return await views[Thing].count()


def things(*deciders: Any, evolvers: tuple[Any, ...] = (done,), **options: Any) -> Aggregate[State]:
    """An aggregate with these functions, declared behind the back of the type checkers, as an untyped user would."""
    given: dict[str, Any] = {"id": "thing_id", "initial": State()} | options
    made: Any = Aggregate(given.pop("name", "thing"), **given)
    for decider in deciders:
        made.decide(decider)
    for evolver in evolvers:
        made.evolve(evolver)
    found: Aggregate[State] = made
    return found


def shown(*handlers: Any, view: type[Any] = Thing, version: int = 1) -> Projection[Any]:
    made: Any = Projection(view, version=version)
    for handler in handlers:
        made.on(handler)
    found: Projection[Any] = made
    return found


def problems(name: str = "things", **parts: Any) -> tuple[str, ...]:
    with pytest.raises(ContextError) as caught:
        BoundedContext(name, **parts)
    error = caught.value
    assert error.context == name
    assert all(line in str(error) for line in error.problems)
    return error.problems


def without(function: Any, *names: str) -> Any:
    for name in names:
        del function.__annotations__[name]
    return function


def test_the_context_of_these_tests_builds_where_nothing_is_wrong() -> None:
    BoundedContext("things", aggregates=[things(do)], projections=[shown(thing_done)], queries=[count])


# Each case gives a sound context one fault, and the words that have to be in the one line about it.


def decide_without_a_command() -> Any:
    def decide_nothing(state: State, command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(without(decide_nothing, "command")), r"decide_nothing has no annotation for its parameter 'command'"


def decide_without_a_state() -> Any:
    def decide_blind(state: State, command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(without(decide_blind, "state")), r"decide_blind has no annotation for its parameter 'state'"


def decide_with_another_state() -> Any:
    def decide_number(state: int, command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(decide_number), r"decide_number takes the state as .*int.*, and the initial state is a State"


def decide_without_its_events() -> Any:
    def decide_something(state: State, command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(without(decide_something, "return")), r"decide_something must be annotated to give its events"


def decide_with_any_event() -> Any:
    def decide_anything(state: State, command: Do) -> Iterator[Event]:
        yield Done(thing_id=command.thing_id)

    return things(decide_anything), r"decide_anything must be annotated with the events that it gives"


def decide_with_one_event() -> Any:
    def decide_bare(state: State, command: Do) -> Done:
        return Done(thing_id=command.thing_id)

    return things(decide_bare), r"decide_bare must be annotated to give its events"


def decide_with_numbers() -> Any:
    def decide_numbers(state: State, command: Do) -> Iterator[int]:
        yield 1

    return things(decide_numbers), r"decide_numbers must be annotated with the events that it gives"


def decide_that_waits() -> Any:
    async def decide_slowly(state: State, command: Do) -> list[Done]:
        return []

    return things(decide_slowly), r"decide_slowly is a coroutine"


def decide_that_waits_and_yields() -> Any:
    async def decide_in_steps(state: State, command: Do) -> AsyncIterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(decide_in_steps), r"decide_in_steps is a coroutine"


def decide_an_event() -> Any:
    def decide_event(state: State, command: Done) -> Iterator[Done]:
        yield command

    return things(decide_event), r"decide_event must take a command as its second parameter"


def decide_with_too_little() -> Any:
    def decide_lonely(command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(decide_lonely), r"decide_lonely takes the state, the command"


def decide_with_too_much() -> Any:
    def decide_greedily(state: State, command: Do, moment: Moment, more: int) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(decide_greedily), r"decide_greedily takes the state, the command"


def decide_with_another_third() -> Any:
    def decide_late(state: State, command: Do, now: float) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(decide_late), r"decide_late may take a Moment as its third parameter"


def decide_with_keywords() -> Any:
    def decide_wordily(state: State, command: Do, *, moment: Moment) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(decide_wordily), r"decide_wordily takes 'moment'.*plain positional"


def decide_unresolved() -> Any:
    def decide_forward(state: State, command: "NeverDefined") -> Iterator[Done]:  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]
        yield Done(thing_id="1")

    return things(decide_forward), r"decide_forward has an annotation that cannot be resolved.*NeverDefined"


def two_who_decide_one_command() -> Any:
    def do_again(state: State, command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(do, do_again), r"do_again decides Do, as do does already"


def an_event_that_nobody_evolves() -> Any:
    def undo(state: State, command: Undo) -> Iterator[Done | Undone]:
        yield Undone(thing_id=command.thing_id)

    return things(do, undo), r"undo yields Undone, which nobody evolves"


def two_who_evolve_one_event() -> Any:
    def done_again(state: State, event: Done) -> State:
        return state

    return things(do, evolvers=(done, done_again)), r"done_again evolves Done, as done does already"


def evolve_that_waits() -> Any:
    async def done_slowly(state: State, event: Done) -> State:
        return state

    return things(do, evolvers=(done, done_slowly)), r"done_slowly is a coroutine or a generator"


def evolve_that_yields() -> Any:
    def done_in_steps(state: State, event: Done) -> Iterator[State]:
        yield state

    return things(do, evolvers=(done, done_in_steps)), r"done_in_steps is a coroutine or a generator"


def evolve_that_gives_nothing() -> Any:
    def done_in_vain(state: State, event: Done) -> None:
        return

    return things(do, evolvers=(done, done_in_vain)), r"done_in_vain must be annotated to give the next state"


def evolve_that_gives_something_else() -> Any:
    def done_to_text(state: State, event: Done) -> str:
        return ""

    return things(do, evolvers=(done_to_text,)), r"done_to_text .*str"


def evolve_with_another_state() -> Any:
    def undone_number(state: int, event: Undone) -> int:
        return state

    return things(do, evolvers=(done, undone_number)), r"undone_number takes the state as .*int"


def evolve_a_command() -> Any:
    def evolve_command(state: State, event: Do) -> State:
        return state

    return things(do, evolvers=(done, evolve_command)), r"evolve_command must take an event as its second parameter"


def an_aggregate_without_its_id() -> Any:
    return things(do, id="other_id"), r"do decides Do, which has no field 'other_id'"


def an_id_that_may_be_missing() -> Any:
    class Maybe(Command):
        thing_id: str | None = None

    def maybe(state: State, command: Maybe) -> Iterator[Done]:
        yield Done(thing_id="1")

    return things(maybe), r"(maybe|Maybe).*'thing_id'"


def an_aggregate_with_a_dash() -> Any:
    return things(do, name="some-thing"), r"aggregate 'some-thing' must have a name without a dash"


def an_aggregate_that_decides_nothing() -> Any:
    return things(), r"aggregate 'thing' decides no command"


def a_boundary_that_the_command_does_not_have() -> Any:
    class Tagged(Event, tags=("student_id",)):
        thing_id: str
        student_id: str

    def tagged(state: State, event: Tagged) -> State:
        return state

    return (
        things(do, evolvers=(tagged, done), boundary="student_id"),
        r"do decides Do, which has no field 'student_id'",
    )


def a_boundary_that_no_event_has_as_tag() -> Any:
    return things(do, boundary="thing_id"), r"boundary 'thing_id', which no event that it evolves has as tag"


def two_events_of_one_stored_name() -> Any:
    class Twin(Event, name="Done"):
        thing_id: str

    def twin(state: State, event: Twin) -> State:
        return state

    return things(do, evolvers=(done, twin)), r"Twin has the name 'Done', as .*Done has already"


def an_event_with_a_tag_that_is_no_field() -> Any:
    class Tagged(Event, tags=("student_id",)):
        thing_id: str

    def tagged(state: State, event: Tagged) -> State:
        return state

    return things(do, evolvers=(done, tagged)), r"Tagged has the tag 'student_id', which is no field of it"


def an_event_of_schema_zero() -> Any:
    class Zero(Event, schema=0):
        thing_id: str

    def zero(state: State, event: Zero) -> State:
        return state

    return things(do, evolvers=(done, zero)), r"Zero has schema=0; schemas are counted from 1"


def an_event_with_a_bound_that_its_type_cannot_have() -> Any:
    class Bounded(Event):
        thing_id: str
        price: Annotated[Decimal, Meta(gt=0)]

    def bounded(state: State, event: Bounded) -> State:
        return state

    return things(do, evolvers=(done, bounded)), r"Bounded cannot be read from JSON"


def a_command_with_a_bound_that_its_type_cannot_have() -> Any:
    class Price(Command):
        thing_id: str
        price: Annotated[Decimal, Meta(gt=0)]

    def price(state: State, command: Price) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(price), r"Price cannot be read from JSON"


def a_command_with_a_value_that_has_no_json() -> Any:
    class Call(Command):
        thing_id: str
        back: Callable[[], int]

    def call(state: State, command: Call) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(call), r"Call cannot be read from JSON"


def a_command_with_a_field_that_cannot_be_resolved() -> Any:
    class Later(Command):
        thing_id: str
        what: "NeverDefined"  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]

    def later(state: State, command: Later) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(later), r"Later cannot be read from JSON.*NeverDefined"


def a_command_with_a_slash_in_its_name() -> Any:
    class Slashed(Command, name="do/it"):
        thing_id: str

    def slashed(state: State, command: Slashed) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    return things(slashed), r"Slashed has the name 'do/it'"


ON_THE_LEFT = [
    decide_without_a_command,
    decide_without_a_state,
    decide_with_another_state,
    decide_without_its_events,
    decide_with_any_event,
    decide_with_one_event,
    decide_with_numbers,
    decide_that_waits,
    decide_that_waits_and_yields,
    decide_an_event,
    decide_with_too_little,
    decide_with_too_much,
    decide_with_another_third,
    decide_with_keywords,
    decide_unresolved,
    two_who_decide_one_command,
    an_event_that_nobody_evolves,
    two_who_evolve_one_event,
    evolve_that_waits,
    evolve_that_yields,
    evolve_that_gives_nothing,
    evolve_that_gives_something_else,
    evolve_with_another_state,
    evolve_a_command,
    an_aggregate_without_its_id,
    an_id_that_may_be_missing,
    an_aggregate_with_a_dash,
    an_aggregate_that_decides_nothing,
    a_boundary_that_the_command_does_not_have,
    a_boundary_that_no_event_has_as_tag,
    two_events_of_one_stored_name,
    an_event_with_a_tag_that_is_no_field,
    an_event_of_schema_zero,
    an_event_with_a_bound_that_its_type_cannot_have,
    a_command_with_a_bound_that_its_type_cannot_have,
    a_command_with_a_value_that_has_no_json,
    a_command_with_a_field_that_cannot_be_resolved,
    a_command_with_a_slash_in_its_name,
]


def names(case: Any) -> str:
    return str(case.__name__)


def said(pattern: str, lines: tuple[str, ...]) -> bool:
    return any(re.search(pattern, line, re.DOTALL) for line in lines)


@pytest.mark.parametrize("case", ON_THE_LEFT, ids=names)
def test_what_is_wrong_on_the_left_is_said_with_its_place(case: Callable[[], Any]) -> None:
    aggregate, pattern = case()
    lines = problems(aggregates=[aggregate])

    assert said(pattern, lines), lines
    if not pattern.startswith(("aggregate", "boundary")):
        assert said(rf"test_context_errors\.py:\d+: .*{pattern}", lines), lines


# The right


def a_view_without_a_key() -> Any:
    class Keyless(View):
        thing_id: str

    def keyless(row: Keyless | None, event: Done) -> Keyless:
        return Keyless(thing_id=event.thing_id)

    return shown(keyless, view=Keyless), r"Keyless has no key"


def a_view_with_an_unknown_key() -> Any:
    class Unknown(View, key="other_id"):
        thing_id: str

    def unknown(row: Unknown | None, event: Done) -> Unknown:
        return Unknown(thing_id=event.thing_id)

    return shown(unknown, view=Unknown), r"Unknown names 'other_id' as key or index, which is no field"


def a_view_whose_key_may_be_missing() -> Any:
    class Optional(View, key="thing_id"):
        thing_id: str | None

    def optional(row: Optional | None, event: Done) -> Optional:
        return Optional(thing_id=event.thing_id)

    return shown(optional, view=Optional), r"Optional has the key field 'thing_id', which must be .* not None"


def a_view_whose_key_is_a_list() -> Any:
    class Listed(View, key="thing_id"):
        thing_id: list[str]

    def listed(row: Listed | None, event: Done) -> Listed:
        return Listed(thing_id=[event.thing_id])

    return shown(listed, view=Listed), r"Listed has the key field 'thing_id', which must be a plain value"


def a_view_with_an_unknown_index() -> Any:
    class Indexed(View, key="thing_id", index=("colour",)):
        thing_id: str

    def indexed(row: Indexed | None, event: Done) -> Indexed:
        return Indexed(thing_id=event.thing_id)

    return shown(indexed, view=Indexed), r"Indexed names 'colour' as key or index, which is no field"


def a_view_with_a_scale_that_no_store_has() -> Any:
    class Scaled(View, key="thing_id"):
        thing_id: str
        price: Annotated[Decimal, Scale(19)]

    def scaled(row: Scaled | None, event: Done) -> Scaled:
        return Scaled(thing_id=event.thing_id, price=Decimal(1))

    return shown(scaled, view=Scaled), r"Scaled declares a scale of 19 for 'price'"


def a_view_with_a_bound_that_its_type_cannot_have() -> Any:
    class Bounded(View, key="thing_id"):
        thing_id: str
        prices: list[Annotated[Decimal, Meta(gt=0)]]

    def bounded(row: Bounded | None, event: Done) -> Bounded:
        return Bounded(thing_id=event.thing_id, prices=[])

    return shown(bounded, view=Bounded), r"Bounded "


def a_view_with_a_field_that_cannot_be_resolved() -> Any:
    class Later(View, key="thing_id"):
        thing_id: str
        what: "NeverDefined"  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]

    def later(row: Later | None, event: Done) -> Later:
        return Later(thing_id=event.thing_id, what=1)

    return shown(later, view=Later), r"Later .*NeverDefined"


def a_projection_of_version_zero() -> Any:
    return shown(thing_done, version=0), r"Thing has a projection with version=0"


def a_projection_that_handles_nothing() -> Any:
    return shown(), r"Thing has a projection that handles no event"


def two_handlers_for_one_event() -> Any:
    def thing_done_again(row: Thing | None, event: Done) -> Thing:
        return Thing(thing_id=event.thing_id)

    return shown(thing_done, thing_done_again), r"thing_done_again handles Done for Thing, as thing_done does already"


def a_handler_whose_event_lacks_the_key() -> Any:
    class Elsewhere(Event):
        place: str

    def elsewhere(row: Thing | None, event: Elsewhere) -> Thing:
        return Thing(thing_id=event.place)

    return shown(elsewhere), r"elsewhere needs keys=: Elsewhere has no field 'thing_id'"


def a_handler_that_waits() -> Any:
    async def done_slowly(row: Thing | None, event: Done) -> Thing:
        return Thing(thing_id=event.thing_id)

    return shown(done_slowly), r"done_slowly is a coroutine or a generator"


def a_handler_that_yields() -> Any:
    def done_in_steps(row: Thing | None, event: Done) -> Iterator[Thing]:
        yield Thing(thing_id=event.thing_id)

    return shown(done_in_steps), r"done_in_steps is a coroutine or a generator"


def a_handler_that_gives_something_else() -> Any:
    def done_to_text(row: Thing | None, event: Done) -> str:
        return ""

    return shown(done_to_text), r"done_to_text must be annotated to give Thing or None"


def a_handler_without_a_return_annotation() -> Any:
    def done_silently(row: Thing | None, event: Done) -> Thing:
        return Thing(thing_id=event.thing_id)

    return shown(without(done_silently, "return")), r"done_silently must be annotated to give Thing or None"


def a_handler_that_takes_another_row() -> Any:
    class Other(View, key="thing_id"):
        thing_id: str

    def done_elsewhere(row: Other | None, event: Done) -> Thing:
        return Thing(thing_id=event.thing_id)

    return shown(done_elsewhere), r"done_elsewhere must take the row as Thing"


def a_handler_of_a_command() -> Any:
    def on_command(row: Thing | None, event: Do) -> Thing:
        return Thing(thing_id=event.thing_id)

    return shown(on_command), r"on_command must take an event, or Recorded"


def a_handler_of_any_record() -> Any:
    def on_any_record(row: Thing | None, event: Recorded[Any]) -> Thing:
        return Thing(thing_id=event.event.thing_id)

    return shown(on_any_record), r"on_any_record must take an event, or Recorded"


def a_handler_with_too_much() -> Any:
    def done_greedily(row: Thing | None, event: Done, key: str) -> Thing:
        return Thing(thing_id=event.thing_id)

    return shown(done_greedily), r"done_greedily takes the row and the event"


def a_handler_unresolved() -> Any:
    def done_forward(row: Thing | None, event: "NeverDefined") -> Thing:  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]
        return Thing(thing_id="1")

    return shown(done_forward), r"done_forward has an annotation that cannot be resolved.*NeverDefined"


OF_VIEWS = [
    a_view_without_a_key,
    a_view_with_an_unknown_key,
    a_view_whose_key_may_be_missing,
    a_view_whose_key_is_a_list,
    a_view_with_an_unknown_index,
    a_view_with_a_scale_that_no_store_has,
    a_view_with_a_bound_that_its_type_cannot_have,
    a_view_with_a_field_that_cannot_be_resolved,
    a_projection_of_version_zero,
    a_projection_that_handles_nothing,
    two_handlers_for_one_event,
    a_handler_whose_event_lacks_the_key,
    a_handler_that_waits,
    a_handler_that_yields,
    a_handler_that_gives_something_else,
    a_handler_without_a_return_annotation,
    a_handler_that_takes_another_row,
    a_handler_of_a_command,
    a_handler_of_any_record,
    a_handler_with_too_much,
    a_handler_unresolved,
]


@pytest.mark.parametrize("case", OF_VIEWS, ids=names)
def test_what_is_wrong_with_a_projection_is_said_with_its_place(case: Callable[[], Any]) -> None:
    projection, pattern = case()
    lines = problems(projections=[projection])

    assert said(rf"test_context_errors\.py:\d+: .*{pattern}", lines), lines


def a_query_handler_that_is_not_async() -> Any:
    def count_at_once(query: Count, views: Views) -> int:
        return 0

    return count_at_once, r"count_at_once is not async"


def a_query_handler_with_another_answer() -> Any:
    async def count_in_words(query: Count, views: Views) -> str:
        return "none"

    return count_in_words, r"count_in_words must be annotated to give .*int.*, as Count says, not .*str"


def a_query_handler_without_an_answer() -> Any:
    async def count_silently(query: Count, views: Views) -> int:
        return 0

    return without(count_silently, "return"), r"count_silently must be annotated to give .*int"


def a_query_handler_of_something_else() -> Any:
    async def count_command(query: Do, views: Views) -> int:
        return 0

    return count_command, r"count_command must take a query as its first parameter"


def a_query_handler_without_views() -> Any:
    async def count_blindly(query: Count) -> int:
        return 0

    return count_blindly, r"count_blindly must take the query and the Views"


def a_query_that_says_no_answer() -> Any:
    class Bare(Query):  # type: ignore[type-arg]
        pass

    async def bare(query: Bare, views: Views) -> int:
        return 0

    return bare, r"bare answers Bare, which does not say what its answer is"


def a_query_handler_unresolved() -> Any:
    async def count_forward(query: "NeverDefined", views: Views) -> int:  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]
        return 0

    return count_forward, r"count_forward has an annotation that cannot be resolved.*NeverDefined"


def a_query_with_a_bound_that_its_type_cannot_have() -> Any:
    class Dearer(Query[int]):
        than: Annotated[Decimal, Meta(gt=0)]

    async def dearer(query: Dearer, views: Views) -> int:
        return 0

    return dearer, r"Dearer cannot be read from JSON"


OF_QUERIES = [
    a_query_handler_that_is_not_async,
    a_query_handler_with_another_answer,
    a_query_handler_without_an_answer,
    a_query_handler_of_something_else,
    a_query_handler_without_views,
    a_query_that_says_no_answer,
    a_query_handler_unresolved,
    a_query_with_a_bound_that_its_type_cannot_have,
]


@pytest.mark.parametrize("case", OF_QUERIES, ids=names)
def test_what_is_wrong_with_a_query_is_said_with_its_place(case: Callable[[], Any]) -> None:
    handler, pattern = case()
    lines = problems(queries=[handler])

    assert said(rf"test_context_errors\.py:\d+: .*{pattern}", lines), lines


# What only the whole context shows


def test_a_command_that_two_aggregates_decide_is_said() -> None:
    def do_too(state: State, command: Do) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    lines = problems(aggregates=[things(do), things(do_too, name="other")])
    assert said(r"do_too decides Do, as do does already", lines), lines


def test_two_aggregates_of_one_name_are_said() -> None:
    def undo(state: State, command: Undo) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    assert said(r"aggregate 'thing' is there twice", problems(aggregates=[things(do), things(undo)]))


def test_two_commands_of_one_name_are_said() -> None:
    class Twin(Command, name="Do"):
        thing_id: str

    def twin(state: State, command: Twin) -> Iterator[Done]:
        yield Done(thing_id=command.thing_id)

    assert said(r"Twin has the name 'Do', as .*Do has already", problems(aggregates=[things(do, twin)]))


def test_two_queries_of_one_name_and_two_handlers_for_one_query_are_said() -> None:
    class Twin(Query[int], name="Count"):
        pass

    async def twin(query: Twin, views: Views) -> int:
        return 0

    async def count_again(query: Count, views: Views) -> int:
        return 0

    lines = problems(queries=[count, twin, count_again])
    assert said(r"Twin has the name 'Count', as .*Count has already", lines), lines
    assert said(r"count_again answers Count, as .* does already", lines), lines


def test_two_views_of_one_name_are_said() -> None:
    class Twin(View, key="thing_id", name="Thing"):
        thing_id: str

    def twin(row: Twin | None, event: Done) -> Twin:
        return Twin(thing_id=event.thing_id)

    assert said(
        r"Twin has the name 'Thing', as .*Thing has already",
        problems(projections=[shown(thing_done), shown(twin, view=Twin)]),
    )


def test_two_projections_for_one_view_are_said() -> None:
    def undone(row: Thing | None, event: Undone) -> None:
        return None

    lines = problems(projections=[shown(thing_done), shown(undone)])
    assert said(r"Thing", lines), lines


def test_two_views_whose_names_differ_in_case_only_are_said_as_sqlite_cannot_tell_them_apart() -> None:
    class Upper(View, key="thing_id", name="THING"):
        thing_id: str

    def upper(row: Upper | None, event: Done) -> Upper:
        return Upper(thing_id=event.thing_id)

    lines = problems(projections=[shown(thing_done), shown(upper, view=Upper)])
    assert said(r"Upper .*'THING'", lines), lines


def test_two_fields_of_a_view_that_differ_in_case_only_are_said_as_sqlite_cannot_tell_them_apart() -> None:
    class Cased(View, key="thing_id"):
        thing_id: str
        THING_ID: str

    def cased(row: Cased | None, event: Done) -> Cased:
        return Cased(thing_id=event.thing_id, THING_ID="")

    assert said(r"Cased .*THING_ID", problems(projections=[shown(cased, view=Cased)]))


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "a\0b"])
def test_a_context_whose_name_cannot_stand_in_an_address_is_said(name: str) -> None:
    assert said(r"must be printable and without a slash", problems(name, aggregates=[things(do)]))


def test_everything_that_is_wrong_is_said_at_once_and_each_once() -> None:
    left = [case() for case in ON_THE_LEFT if case is not an_aggregate_with_a_dash]
    views = [case() for case in OF_VIEWS]
    queries = [case() for case in OF_QUERIES]

    lines = problems(
        "every/thing",
        aggregates=[aggregate for aggregate, _ in left],
        projections=[projection for projection, _ in views],
        queries=[handler for handler, _ in queries],
    )

    for _, pattern in [*left, *views, *queries]:
        assert said(pattern, lines), (pattern, lines)
    assert said("'every/thing' must be printable and without a slash", lines)
    assert len(lines) == len(set(lines))


def test_a_query_handler_may_be_any_async_callable_that_is_annotated() -> None:
    handlers: list[Callable[[Count, Views], Awaitable[int]]] = [count]
    BoundedContext("things", projections=[shown(thing_done)], queries=handlers)
