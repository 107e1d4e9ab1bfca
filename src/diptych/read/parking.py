"""What is held back while a batch of events is folded: known holds, and those that come up, with their letters."""

import traceback
from collections.abc import Iterable

from diptych.read.letters import Cause, Hold, Letter, Withheld

MOST_ERROR = 1000
"""Characters of an error that are kept, the first ones."""

MOST_TRACEBACK = 4000
"""Characters of a traceback that are kept, the last ones."""


class HandlerFailed(ValueError):
    """A handler that runs in the store's transaction has failed there, at the event of this position."""

    def __init__(self, position: int, error: BaseException) -> None:
        super().__init__(f"event {position} cannot be applied: {error}")
        self.position = position
        self.error = error


class Overlong(ValueError):
    """One transaction takes too long for so many events; those before this position have been done in its time."""

    def __init__(self, position: int) -> None:
        super().__init__(f"the events before {position} take too long for one transaction")
        self.position = position


class Parking:
    """The parking of one batch; `now` (UTC) is when its letters are parked."""

    def __init__(self, withheld: Withheld, now: str) -> None:
        self._skips = withheld.skips
        self._now = now
        self.holds = set(withheld.holds)
        self.streams = any(hold.stream for hold in self.holds)
        self.letters: list[Letter] = []

    @property
    def withheld(self) -> Withheld:
        """What is held back once the letters are kept."""
        return Withheld(self.holds, self._skips)

    def waits(self, hold: Hold, position: int, type_name: str) -> bool:
        """Whether the event has to wait behind others; it is parked then."""
        if hold not in self.holds:
            return False
        self.letters.append(Letter(hold, position, type_name, self._now))
        return True

    def fail(self, hold: Hold, position: int, type_name: str, error: BaseException) -> None:
        """Parks an event that cannot be applied, and holds back what comes after it, unless it is to be passed over."""
        if (hold, position) in self._skips:
            return
        self.holds.add(hold)
        self.streams = self.streams or bool(hold.stream)
        self.letters.append(Letter(hold, position, type_name, self._now, cause_of(error, self._now)))


def cause_of(error: BaseException, now: str, before: Cause | None = None) -> Cause:
    """Why an event could not be applied now, and how often that was tried `before` too."""
    error = error.error if isinstance(error, HandlerFailed) else error
    return Cause(
        error=_text(traceback.format_exception_only(error)).strip()[:MOST_ERROR],
        traceback=_text(traceback.format_exception(error))[-MOST_TRACEBACK:],
        attempts=1 if before is None else before.attempts + 1,
        first=now if before is None else before.first,
        last=now,
    )


def _text(lines: Iterable[str]) -> str:
    """One text, which every store can keep."""
    return "".join(lines).replace("\0", "\\0").encode(errors="backslashreplace").decode()
