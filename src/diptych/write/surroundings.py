"""What the write side takes from outside itself."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Surroundings(NamedTuple):
    """Time, chance and patience, so that a test can hold them.

    `now` gives seconds since 1970 UTC; `randomness` so many random bytes; `sleep` waits so many seconds.
    """

    now: Callable[[], float]
    randomness: Callable[[int], bytes]
    sleep: Callable[[float], Any]
