"""Finds a time in the log: `recorded_at` never falls from one position to the next, so halving finds it."""

from diptych.log.protocol import EventLog


async def last_before(log: EventLog, moment: int) -> int:
    """The last position recorded before a time, in microseconds since 1970; 0 where the log begins later.

    It looks at about as many events as their number has binary digits.
    """
    before, not_before = 0, (await log.head()).position + 1
    while not_before - before > 1:
        middle = (before + not_before) // 2
        recorded_at = await log.recorded_at(middle)
        if recorded_at is not None and recorded_at < moment:
            before = middle
        else:
            not_before = middle
    return before
