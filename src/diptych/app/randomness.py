"""Random bytes a few at a time. The operating system is asked for many at once: a call costs more than the bytes."""

import os

FETCHED = 8192
"""Bytes that one call fetches."""


class Randomness:
    """It belongs to one event loop, so no two callers get the same bytes."""

    def __init__(self) -> None:
        self._bytes = b""
        self._used = 0

    def __call__(self, count: int) -> bytes:
        """So many bytes, each given once."""
        start = self._used
        end = start + count
        if end > len(self._bytes):
            self._bytes = os.urandom(max(FETCHED, count))
            start, end = 0, count
        self._used = end
        return self._bytes[start:end]
