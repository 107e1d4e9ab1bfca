"""The time as it is kept beside failures, pauses and dead letters, for operators. No decision rests on it."""

from datetime import UTC, datetime


def utc_now() -> str:
    """Now in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
