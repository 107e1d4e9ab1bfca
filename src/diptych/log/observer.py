"""The one seam through which a log tells how it fares: for metrics, and for nothing that changes what is kept."""

from typing import Protocol


class LogObserver(Protocol):
    """Is told of every group commit, in the event loop of the log, so it must be quick. It raises nothing."""

    def committed(self, appends: int, seconds: float, waiting: int) -> None:
        """A commit of so many appends is over, well or badly, after so long; so many appends wait for the next one."""
        ...


class Unobserved:
    """Lets it pass."""

    def committed(self, appends: int, seconds: float, waiting: int) -> None:
        pass


UNOBSERVED = Unobserved()
