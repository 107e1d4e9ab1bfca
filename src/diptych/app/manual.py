"""Facts that no decision led to: someone records an event as it stands, and it is marked so for ever.

What an aggregate could not fold again is refused. No rule of the business is asked.
"""

import hashlib
import os
import time

from diptych.app.context import BoundedContext
from diptych.errors import Malformed, NotFound
from diptych.log import Append, EventLog, Metadata, StreamAt, id_text
from diptych.log.conditions import STREAM_SEPARATOR, stream_name
from diptych.messages import Event, check_id, to_json
from diptych.messages.words import did_you_mean
from diptych.write import AggregateRules, Receipt, uuid7
from diptych.write.receipt import receipt_of


def aggregate_of(context: BoundedContext, stream: str) -> AggregateRules:
    """The aggregate that a stream belongs to. Raises Malformed for no stream's name, NotFound for no such aggregate."""
    category, separator, id = stream.partition(STREAM_SEPARATOR)
    if not separator:
        raise Malformed(f"{stream!r} names no stream: category, dash, id, such as {category or 'order'}-1")
    check_id(id, "$.stream")
    for rules in context.aggregates:
        if rules.name == category:
            return rules
    known = [rules.name for rules in context.aggregates]
    raise NotFound(f"Context {context.name!r} has no aggregate {category!r}{did_you_mean(category, known)}")


def event_of(rules: AggregateRules, name: str | None) -> type[Event]:
    """The event of this stored name, which may be left out where there is but one. Raises NotFound."""
    known: dict[str, type[Event]] = {event.__declared__.name: event for event in rules.evolvers}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None:
        raise NotFound(f"Aggregate {rules.name!r} evolves several events; name one: {', '.join(sorted(known))}.")
    if name not in known:
        raise NotFound(f"Aggregate {rules.name!r} evolves no event {name!r}{did_you_mean(name, known)}")
    return known[name]


def check_belongs(rules: AggregateRules, stream: str, event: Event) -> None:
    """Raises Malformed for an event that says itself that it is of another aggregate than its stream's."""
    field = rules.aggregate.id
    own = getattr(event, field, None)
    if own is not None and stream_name(rules.name, str(own)) != stream:
        raise Malformed(f"This event is of {stream_name(rules.name, str(own))!r}, and not of {stream!r}", f"$.{field}")


async def record_as_it_stands(  # noqa: PLR0913 - what is kept of it
    context: BoundedContext,
    log: EventLog,
    stream: str,
    event: Event,
    *,
    expected_version: int | None = None,
    command_id: str | None = None,
    actor: str | None = None,
) -> Receipt:
    """Appends one event, durably; the same command id again gives the first receipt.

    Raises Malformed, NotFound (no aggregate by that name), Conflict (the stream is not at `expected_version`),
    CommandIdReused, Unavailable, OutcomeUnknown.
    """
    rules = aggregate_of(context, stream)
    event_of(rules, type(event).__declared__.name)
    for field, value in (("command_id", command_id), ("actor", actor)):
        if value is not None:
            check_id(value, f"$.{field}")
    check_belongs(rules, stream, event)
    milliseconds = time.time_ns() // 1_000_000
    new, kept = context.catalogue.encode(event, uuid7(milliseconds, os.urandom(10)))
    command_id = command_id or id_text(uuid7(milliseconds, os.urandom(10)))
    body = f"{stream}\0{new.type}\0{new.schema}\0".encode() + to_json(kept)
    outcome = await log.append(
        Append(
            command_id,
            hashlib.sha256(b"recorded\0" + body).digest()[:16],
            stream,
            [new],
            None if expected_version is None else StreamAt(expected_version),
            Metadata(command_id=command_id, actor=actor, manual=True).stored(),
        )
    )
    return receipt_of(outcome, log.log_id)
