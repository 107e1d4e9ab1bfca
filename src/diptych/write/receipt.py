"""What a command returns: where its events stand. Never the aggregate's state."""

import msgspec

from diptych.log import Outcome, Token


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The proof that a command was accepted.

    `token` names the log position after it, to be shown to a query; `version` is the stream's; `events` are the stored
    names of the events that it led to, in order, and may be empty.
    """

    command_id: str
    token: Token
    stream: str
    version: int
    events: tuple[str, ...]


def receipt_of(outcome: Outcome, log_id: str) -> Receipt:
    """The receipt of an outcome in the log of this id."""
    return Receipt(
        command_id=outcome.command_id,
        token=Token.at(log_id, outcome.position),
        stream=outcome.stream,
        version=outcome.version,
        events=outcome.types,
    )
