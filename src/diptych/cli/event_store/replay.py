"""`diptych event-store replay`: an aggregate's story, event by event, with what each did to its state."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from cyclopts import Parameter

from diptych import BoundedContext, UnreadableEvent
from diptych.app.streams import aggregate_of
from diptych.cli.event_store.changes import Change, as_text, changes, leaves, plain, value_text
from diptych.cli.event_store.records import Line, Records
from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.output import printable
from diptych.cli.places import existing_store
from diptych.cli.target import context_at
from diptych.cli.times import shown_time, typed_time
from diptych.cli.traces import shortened
from diptych.cli.words import DONE, NO, WRONG_USE, Stop
from diptych.log import EventLog, RecordedEvent, StoredEvent
from diptych.stores import Store
from diptych.write import AggregateRules


class Until(NamedTuple):
    """Up to which version, or which time in microseconds since 1970, the story is told; by default to its end."""

    version: int | None = None
    time: int | None = None


class Step(NamedTuple):
    """An event and what it did to the state."""

    record: RecordedEvent
    changes: list[Change]


class Story(NamedTuple):
    """The steps of one stream, the state after the last of them, and the stream's version in the whole log."""

    stream: str
    aggregate: str
    steps: Sequence[Step]
    state: Any
    version: int


def replay(
    aggregate_id: str,
    /,
    *,
    at: Annotated[str | None, Parameter(metavar="TIME|VERSION")] = None,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    r"""Show how an aggregate came to its state, event by event.

    What order 536365 was at noon, and how it became that:

        diptych event-store replay order-536365 --at 2026-01-31T12:00:00Z \
            --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    aggregate_id:
        The aggregate's stream: its category, a dash, its id.
    at:
        End with this version, or with the last event recorded up to this time.
    """
    until = typed_until(at)
    context = context_at(target)
    rules = aggregate_of(context.aggregates, aggregate_id)
    story = asyncio.run(told(context, rules, existing_store(store), aggregate_id, until))
    records = Records(context)
    if json:
        sys.stdout.write(story_json(story, records) + "\n")
    else:
        show(story, records, boundary=bool(rules.aggregate.boundary))
    return DONE


def typed_until(text: str | None) -> Until:
    """What `--at` says: digits are a version, everything else is a time."""
    if text is None:
        return Until()
    if not (text.isascii() and text.isdigit()):
        return Until(time=typed_time(text))
    if len(text) > 18 or int(text) == 0:
        raise Stop(f"--at {text}: versions are counted from 1", WRONG_USE)
    return Until(version=int(text))


async def told(context: BoundedContext, rules: AggregateRules, store: Store, stream: str, until: Until) -> Story:
    """Folds the stream, step by step. Raises Stop for one without events at that time, UnreadableEvent."""
    async with store.log() as log:
        events, version = await log.load(stream)
        if not events:
            raise Stop(f"there is no stream {stream!r} in this store", NO)
        if until.version is not None and until.version > version:
            raise Stop(f"{stream} is at version {version}, and not at {until.version} yet", NO)
        steps: list[Step] = []
        state, before = rules.initial, plain(rules.initial)
        for stored in events[: until.version]:
            record = await whole(log, stored)
            if until.time is not None and record.recorded_at > until.time:
                break
            state = evolved(context, rules, state, record)
            after = plain(state)
            steps.append(Step(record, changes(before, after)))
            before = after
        if not steps:
            first = shown_time((await whole(log, events[0])).recorded_at)
            raise Stop(f"{stream} was not there then; its first event was recorded at {first}", NO)
        return Story(stream, rules.name, steps, before, version)


async def whole(log: EventLog, stored: StoredEvent) -> RecordedEvent:
    """The record of an event."""
    page = await log.read_records(stored.position - 1, 1)
    return page.events[0]


def evolved(context: BoundedContext, rules: AggregateRules, state: Any, record: RecordedEvent) -> Any:
    """The next state. Raises UnreadableEvent, and Stop where the user's function fails."""
    event = context.catalogue.decode(record)
    evolve = rules.evolvers.get(type(event))
    if evolve is None:
        reason = f"aggregate {rules.name!r} does not evolve it"
        raise UnreadableEvent(record.position, record.stream, record.type, reason)
    try:
        return evolve(state, event)
    except Exception as error:
        name = getattr(evolve, "__name__", "evolve")
        words = f"{name} fails at event {record.position} ({record.type}, version {record.version}):"
        raise Stop(words, NO, shortened(error)) from error


class StepJson(msgspec.Struct, frozen=True):
    """A step as JSON."""

    event: Line
    changes: list[dict[str, Any]]


class StoryJson(msgspec.Struct, frozen=True):
    """The story as JSON. `version` is that of the state, `latest_version` the stream's."""

    stream: str
    aggregate: str
    version: int
    latest_version: int
    steps: list[StepJson]
    state: Any


def story_json(story: Story, records: Records) -> str:
    """One JSON document."""
    steps = [
        StepJson(records.line(step.record), [change_json(change) for change in step.changes]) for step in story.steps
    ]
    version = story.steps[-1].record.version
    return msgspec.json.encode(
        StoryJson(story.stream, story.aggregate, version, story.version, steps, story.state)
    ).decode()


def change_json(change: Change) -> dict[str, Any]:
    return {name: value for name, value in change._asdict().items() if value is not msgspec.UNSET}


STYLES = {"+": "green", "-": "red", "~": "yellow"}


def show(story: Story, records: Records, *, boundary: bool) -> None:
    """The story for a person; colours help on a terminal and are never needed."""
    from rich.console import Console  # noqa: PLC0415 - only where it is shown

    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for step in story.steps:
        console.print(printable(step_heading(step.record, records)), style="bold")
        for change in step.changes:
            line = as_text(change)
            console.print("    " + printable(line), style=STYLES[line[0]])
        if not step.changes:
            console.print("    (the state is the same)", style="dim")
    last = story.steps[-1].record
    later = "" if last.version == story.version else f", of {story.version} by now"
    console.print(f"\n{printable(story.stream)} at version {last.version}{later}:", style="bold")
    for path, value in leaves(story.state).items():
        console.print("    " + printable(f"{path or '(state)'}: {value_text(value)}"))
    if boundary:
        words = f"Aggregate {story.aggregate!r} decides over a boundary of tags; this is its own stream only."
        console.print(f"\n{words}", style="dim")


def step_heading(record: RecordedEvent, records: Records) -> str:
    """Version, type, time and position of an event, who led to it, and whether it was recorded by hand."""
    metadata = records.metadata(record)
    words = [f"{record.version:>4}  {record.type}  {shown_time(record.recorded_at)}  position {record.position}"]
    if metadata.actor is not None:
        words.append(f"by {metadata.actor}")
    if metadata.manual:
        words.append("(manual)")
    return "  ".join(words)
