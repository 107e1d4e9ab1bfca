"""Large events, compressed: a codec of Zstandard frames, which tells by the first bytes whether there is one.

JSON never begins as a frame does, so a log may hold both, and the codec may be taken up at any time.
"""

from importlib import import_module
from typing import Any

MAGIC = b"\x28\xb5\x2f\xfd"
"""How every Zstandard frame begins (RFC 8878, 3.1.1)."""

THRESHOLD = 4096
"""Bytes of JSON from which on an event is compressed, unless asked for otherwise."""

LARGEST = 64 * 1024 * 1024
"""Bytes that an event may have when it is decompressed: a damaged or forged frame fills no memory."""


def is_compressed(data: bytes) -> bool:
    """Whether these stored bytes are a frame."""
    return data.startswith(MAGIC)


class Zstd:
    """A codec that compresses events of `threshold` bytes of JSON or more: `BoundedContext(..., codec=Zstd())`.

    What would not get smaller is kept as it is. It reads what a context without a codec has stored. Making one raises
    ImportError where the extra `zstd` is missing.
    """

    def __init__(self, threshold: int = THRESHOLD) -> None:
        self._threshold = threshold
        self._zstd = _library()

    def encode(self, data: bytes) -> bytes:
        if len(data) < self._threshold:
            return data
        frame: bytes = self._zstd.compress(data)
        return frame if len(frame) < len(data) else data

    def decode(self, data: bytes) -> bytes:
        if not is_compressed(data):
            return data
        decompressor = self._zstd.ZstdDecompressor()
        try:
            found: bytes = decompressor.decompress(data, max_length=LARGEST + 1)
        except self._zstd.ZstdError as error:
            raise ValueError(f"its compressed bytes are damaged: {error}") from None
        if len(found) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes when it is decompressed")
        if not decompressor.eof:
            raise ValueError("its compressed bytes end too early")
        return found


def _library() -> Any:
    """The standard library's module, from Python 3.14 on, or its backport."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError('Zstandard is missing. It comes with: pip install "diptych[zstd]"')
