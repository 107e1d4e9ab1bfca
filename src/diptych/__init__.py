"""Diptych: CQRS for Python. Two panels and a hinge: the left decides, the right answers, the log is between them."""

from msgspec import Meta

from diptych.app import App, BoundedContext
from diptych.errors import (
    CommandIdReused,
    Conflict,
    ContextError,
    DiptychError,
    Forbidden,
    ImportStopped,
    Malformed,
    NotAStore,
    NotCaughtUp,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    ProjectionFailed,
    Rejected,
    TimedOut,
    TooLarge,
    Unavailable,
    UnreadableEvent,
)
from diptych.log import Recorded, Token, Upcaster, Zstd, upcasts
from diptych.messages import Command, Event, Query, View
from diptych.read import Answer, Lag, Page, Projection, Scale, Views, between, ge, gt, le, lt, one_of, prefix
from diptych.write import Aggregate, Moment, Receipt, every, never

__version__ = "0.1.0"

__all__ = [
    "Aggregate",
    "Answer",
    "App",
    "BoundedContext",
    "Command",
    "CommandIdReused",
    "Conflict",
    "ContextError",
    "DiptychError",
    "Event",
    "Forbidden",
    "ImportStopped",
    "Lag",
    "Malformed",
    "Meta",
    "Moment",
    "NotAStore",
    "NotCaughtUp",
    "NotFound",
    "OutcomeUnknown",
    "Page",
    "PreconditionFailed",
    "Projection",
    "ProjectionFailed",
    "Query",
    "Receipt",
    "Recorded",
    "Rejected",
    "Scale",
    "TimedOut",
    "Token",
    "TooLarge",
    "Unavailable",
    "UnreadableEvent",
    "Upcaster",
    "View",
    "Views",
    "Zstd",
    "__version__",
    "between",
    "every",
    "ge",
    "gt",
    "le",
    "lt",
    "never",
    "one_of",
    "prefix",
    "upcasts",
]
