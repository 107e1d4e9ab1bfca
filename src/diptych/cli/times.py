"""Times as they are typed and as they are shown: ISO 8601, always with a zone; a date is its midnight in UTC."""

from datetime import UTC, date, datetime

from diptych.cli.words import WRONG_USE, Stop
from diptych.log import from_microseconds, to_microseconds


def typed_time(text: str) -> int:
    """Microseconds since 1970 of a time that was typed. Raises Stop."""
    try:
        if len(text) == 10:
            return to_microseconds(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC))
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "say 2026-01-31, or 2026-01-31T12:00:00Z"
        raise Stop(f"{text!r} is no time; {example}", WRONG_USE) from None
    if moment.tzinfo is None:
        raise Stop(f"{text!r} has no zone; say {text}Z for UTC, or {text}+01:00", WRONG_USE)
    return to_microseconds(moment)


def shown_time(microseconds: int) -> str:
    """A recorded time to the millisecond, which is a time to type as well."""
    return from_microseconds(microseconds).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
