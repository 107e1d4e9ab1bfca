"""Where lines come from: a file, or stdin, which may be a pipe that nothing comes from for a while."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from diptych.cli.words import WRONG_USE, Stop

LINE_BYTES = 64 * 1024 * 1024
"""The longest line that a pipe may bring."""

COUNTED_BYTES = 1024 * 1024


class Source:
    """Lines that are read once. `total` is their number, or None for a pipe."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waits = _waits(file)
        self.total = None if self._waits or not file.seekable() else _count(file)

    async def lines(self) -> AsyncGenerator[bytes]:
        """Each line. Raises Stop where they cannot be read."""
        if self._waits:
            reader = asyncio.StreamReader(LINE_BYTES)
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._file)
            try:
                while line := await reader.readline():
                    yield line
            except ValueError:
                raise Stop(f"a line has more than {LINE_BYTES:,} bytes", WRONG_USE) from None
        else:
            for line in self._file:
                yield line


@contextmanager
def opened(name: str) -> Generator[Source]:
    """The file of this name, or stdin for a dash. Raises Stop where it cannot be read."""
    if name == "-":
        yield Source(os.fdopen(os.dup(sys.stdin.fileno()), "rb"))
        return
    try:
        with Path(name).open("rb") as file:
            yield Source(file)
    except OSError as error:
        raise Stop(f"{name} cannot be read: {error.strerror}", WRONG_USE) from None


def _waits(file: BinaryIO) -> bool:
    """Whether to read from it may take for ever."""
    mode = os.fstat(file.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()


def _count(file: BinaryIO) -> int:
    """The number of lines from here to the end; the last one may have no end of its own."""
    start = file.tell()
    lines, last = 0, b"\n"
    while piece := file.read(COUNTED_BYTES):
        lines += piece.count(b"\n")
        last = piece[-1:]
    file.seek(start)
    return lines + (last != b"\n")
