"""Tokens: a position in one log, as a short opaque text that travels in headers and cookies."""

from typing import Self

from diptych.errors import Malformed

LOG_ID_LENGTH = 16
"""Hexadecimal digits of a log's id."""


class Token(str):
    """Names a position in a log. Shown to a query, the answer is never older than that position.

    Building one from text that is no token raises Malformed.
    """

    __slots__ = ("log_id", "position")

    log_id: str
    position: int

    def __new__(cls, text: str) -> Self:
        log_id, separator, digits = text.partition(".")
        if (
            not separator
            or len(log_id) != LOG_ID_LENGTH
            or not set(log_id) <= set("0123456789abcdef")
            or not (digits.isascii() and digits.isdigit() and len(digits) <= 18)
        ):
            shown = text if len(text) <= 64 else text[:64] + "…"
            raise Malformed(f"{shown!r} is not a token; show the one that a receipt gave, unchanged")
        token = super().__new__(cls, text)
        token.log_id = log_id
        token.position = int(digits)
        return token

    @classmethod
    def at(cls, log_id: str, position: int) -> "Token":
        """The token of a position in a log."""
        token = super().__new__(cls, f"{log_id}.{position}")
        token.log_id = log_id
        token.position = position
        return token

    def __getnewargs__(self) -> tuple[str]:
        return (str(self),)
