"""Messages: commands, events, queries and views, and what makes their values valid. No I/O."""

from diptych.messages.kinds import Command, Event, Query, View
from diptych.messages.meta import Declaration
from diptych.messages.shape import Shape, convert, to_json
from diptych.messages.values import check_id, value_check

__all__ = [
    "Command",
    "Declaration",
    "Event",
    "Query",
    "Shape",
    "View",
    "check_id",
    "convert",
    "to_json",
    "value_check",
]
