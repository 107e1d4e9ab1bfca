"""Reads a small text file whole, or says why not."""

from pathlib import Path

MOST_BYTES = 64 * 1024
"""A configuration is a page or two; what is larger is something else."""


class Unreadable(Exception):
    """Why a file cannot be read, in words that follow its name."""


def small_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark. Raises FileNotFoundError, Unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise Unreadable(f"is larger than {MOST_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 (byte {error.start + 1})") from None
