"""When a snapshot of a stream is due: after so many events, never, or as a function of the user's says."""

from collections.abc import Callable
from typing import TypeVar

S = TypeVar("S")

SnapshotPolicy = Callable[[int, S], bool]
"""Says whether a snapshot is due, from the number of events since the last one, and the state."""


def every(events: int) -> SnapshotPolicy[object]:
    """A snapshot after so many events, and after as many again. Raises ValueError for less than one."""
    if events < 1:
        raise ValueError(f"every({events}): a snapshot is kept after 1 event or more, or never")
    return lambda since, _: since >= events


def never(_since: int, _state: object) -> bool:
    """No snapshot."""
    return False


BY_DEFAULT = every(100)
"""What holds where nothing is said: then a state that cannot be kept is no error, and has no snapshots."""
