"""What became of commands that the log does not know: those in flight, and the latest that were refused.

Accepted commands stand in the log's ledger, for ever. This is memory of one process, bounded, and gone with it.
"""

from enum import StrEnum
from typing import NamedTuple

from diptych.errors import DiptychError

KEPT_REJECTIONS = 10_000
"""Refused commands that are remembered; the oldest is forgotten first."""

KEPT_DETAIL = 500
"""Characters of a refusal's detail that are remembered."""


class CommandState(StrEnum):
    """How far a command has come. The last two are said of its events: in the log, and in every view."""

    RECEIVED = "received"
    VALIDATING = "validating"
    REJECTED = "rejected"
    EXECUTING = "executing"
    PERSISTED = "persisted"
    PUBLISHED = "published"
    PROJECTED = "projected"


class Rejection(NamedTuple):
    """Why a command was refused."""

    code: str
    detail: str


class Journal:
    """The states of commands by their ids. It belongs to one event loop."""

    def __init__(self, kept_rejections: int = KEPT_REJECTIONS) -> None:
        self._in_flight: dict[str, CommandState] = {}
        self._rejections: dict[str, Rejection] = {}
        self._kept = kept_rejections

    def in_flight(self, command_id: str) -> CommandState | None:
        """The state of a command that has no outcome yet, or None."""
        return self._in_flight.get(command_id)

    def rejection(self, command_id: str) -> Rejection | None:
        """Why a command was refused, or None for one that was not, or long ago."""
        return self._rejections.get(command_id)

    def enter(self, command_id: str, state: CommandState) -> None:
        """A command in flight has come this far."""
        self._in_flight[command_id] = state

    def settled(self, command_id: str) -> None:
        """The command was accepted, or nobody knows: the log tells from now on."""
        self._in_flight.pop(command_id, None)
        if self._rejections:
            self._rejections.pop(command_id, None)

    def refused(self, command_id: str, error: DiptychError) -> None:
        """The command was refused for this."""
        self._in_flight.pop(command_id, None)
        self._rejections.pop(command_id, None)
        self._rejections[command_id] = Rejection(error.code, error.detail[:KEPT_DETAIL])
        if len(self._rejections) > self._kept:
            del self._rejections[next(iter(self._rejections))]
