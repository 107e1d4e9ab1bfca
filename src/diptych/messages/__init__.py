"""Messages: commands, events, queries and views, and what makes their values valid. No I/O."""

from diptych.messages.kinds import Command, Event, Query, View
from diptych.messages.meta import Declaration
from diptych.messages.schema import Schema, plain_schema
from diptych.messages.shape import Shape, convert, to_json
from diptych.messages.values import check_id, value_check

__all__ = [
    "Command",
    "Declaration",
    "Event",
    "Query",
    "Schema",
    "Shape",
    "View",
    "check_id",
    "convert",
    "plain_schema",
    "to_json",
    "value_check",
]
