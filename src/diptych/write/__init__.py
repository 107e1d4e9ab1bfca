"""The left panel: commands are validated, decided by aggregates, and their events kept under a condition. No I/O."""

from diptych.write.aggregate import Aggregate
from diptych.write.execute import Envelope, WriteSide
from diptych.write.ids import uuid7
from diptych.write.journal import CommandState, Journal, Rejection
from diptych.write.moment import Moment
from diptych.write.policy import SnapshotPolicy, every, never
from diptych.write.rebuild import SnapshotRebuild
from diptych.write.receipt import Receipt
from diptych.write.rules import AggregateRules
from diptych.write.states import States
from diptych.write.surroundings import Surroundings

__all__ = [
    "Aggregate",
    "AggregateRules",
    "CommandState",
    "Envelope",
    "Journal",
    "Moment",
    "Receipt",
    "Rejection",
    "SnapshotPolicy",
    "SnapshotRebuild",
    "States",
    "Surroundings",
    "WriteSide",
    "every",
    "never",
    "uuid7",
]
