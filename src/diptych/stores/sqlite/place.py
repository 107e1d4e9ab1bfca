"""A file on its disk: whether it still is the one that was opened, and whether it can be written there."""

import os
from pathlib import Path

from diptych.errors import NotAStore, Unavailable


class OpenFile:
    """The file at a path while it is open. `frozen` says that it is read as one that nobody changes meanwhile."""

    def __init__(self, path: Path, *, frozen: bool) -> None:
        self._path = path
        self._frozen = frozen
        found = path.stat()
        self._file = (found.st_dev, found.st_ino)
        self._state = (found.st_size, found.st_mtime_ns)

    def check(self) -> None:
        """Raises Unavailable where it is gone or was not to change and did, NotAStore where another one is there."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - every commit asks, and Path takes twice the time
        except OSError:
            raise Unavailable(
                f"{self._path} was deleted or moved while it was open; put it back, or open the store again."
            ) from None
        if (found.st_dev, found.st_ino) != self._file:
            raise NotAStore(f"{self._path} was replaced by another file while it was open; open the store again.")
        if self._frozen and ((found.st_size, found.st_mtime_ns) != self._state or has_wal(self._path)):
            raise Unavailable(f"{self._path} is being written by others by now; open the store again.")


def has_wal(path: Path) -> bool:
    """Whether a write-ahead log is beside the file, with what the file itself does not have yet."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def may_be_written(folder: Path) -> bool:
    """Whether this process may make files in the folder."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
