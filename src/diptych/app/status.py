"""What became of a command, as one answer: from the journal while it is in flight, from the ledger once it counts."""

import msgspec
from msgspec import UNSET, UnsetType

from diptych.log import Outcome, Token
from diptych.write import CommandState, Rejection


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a command was refused."""

    code: str
    detail: str


class CommandStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a command has come.

    An accepted one has the rest: `published` is in the log, where every follower sees it; `projected` is in every view;
    `views` tells which have it, and one that has parked an event of it has not. A refused one has its `rejection`, for
    as long as this process remembers it.
    """

    command_id: str
    state: CommandState
    stream: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    token: Token | UnsetType = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    views: dict[str, bool] | UnsetType = UNSET
    rejection: Refusal | UnsetType = UNSET


def accepted(outcome: Outcome, log_id: str, views: dict[str, bool]) -> CommandStatus:
    """The status of a command with this outcome, in the log of this id; `views` tells which have it."""
    return CommandStatus(
        command_id=outcome.command_id,
        state=CommandState.PROJECTED if all(views.values()) else CommandState.PUBLISHED,
        stream=outcome.stream,
        version=outcome.version,
        token=Token.at(log_id, outcome.position),
        events=outcome.types,
        views=views,
    )


def refused(command_id: str, rejection: Rejection) -> CommandStatus:
    """The status of a command that was refused."""
    refusal = Refusal(code=rejection.code, detail=rejection.detail)
    return CommandStatus(command_id=command_id, state=CommandState.REJECTED, rejection=refusal)
