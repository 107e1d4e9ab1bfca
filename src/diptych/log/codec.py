"""The one seam for what becomes of an event's JSON on disk: bytes in, bytes out.

Compression and encryption are codecs. Types and positions are not theirs to change.
"""

from typing import Protocol


class Codec(Protocol):
    """Turns an event's JSON into the stored bytes and back. `decode(encode(data)) == data` for every data."""

    def encode(self, data: bytes) -> bytes:
        """The bytes to store."""
        ...

    def decode(self, data: bytes) -> bytes:
        """The JSON again. Raises ValueError for bytes that `encode` did not make."""
        ...


class PlainCodec:
    """Stores the JSON as it is."""

    def encode(self, data: bytes) -> bytes:
        return data

    def decode(self, data: bytes) -> bytes:
        return data
