"""From a name to the aggregate that is meant."""

from diptych import BoundedContext
from diptych.cli.words import WRONG_USE, Stop
from diptych.messages.words import did_you_mean
from diptych.write import AggregateRules


def aggregate_named(context: BoundedContext, name: str) -> AggregateRules:
    """The rules of the aggregate of this name. Raises Stop, naming the nearest one."""
    known = {rules.name: rules for rules in context.aggregates}
    if name not in known:
        raise Stop(f"context {context.name!r} has no aggregate {name!r}{did_you_mean(name, known)}", WRONG_USE)
    return known[name]
