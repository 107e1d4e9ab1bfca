"""Which aggregate a stream belongs to and which events that takes, for facts that no decision led to.

What an aggregate could not fold again is refused. No rule of the business is asked.
"""

from collections.abc import Iterable

from diptych.errors import Malformed, NotFound
from diptych.log.conditions import STREAM_SEPARATOR, stream_name
from diptych.messages import Event, check_id
from diptych.messages.words import did_you_mean
from diptych.write import AggregateRules


def aggregate_of(aggregates: Iterable[AggregateRules], stream: str) -> AggregateRules:
    """The aggregate that a stream belongs to. Raises Malformed for no stream's name, NotFound for no such aggregate."""
    category = category_of(stream)
    known = {rules.name: rules for rules in aggregates}
    if category not in known:
        raise NotFound(f"There is no aggregate {category!r}{did_you_mean(category, known)}")
    return known[category]


def category_of(stream: str) -> str:
    """The first part of a stream's name. Raises Malformed for what is none."""
    category, separator, id = stream.partition(STREAM_SEPARATOR)
    if not separator:
        raise Malformed(f"{stream!r} names no stream: category, dash, id, such as {category or 'order'}-1")
    check_id(id, "$.stream")
    return category


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
