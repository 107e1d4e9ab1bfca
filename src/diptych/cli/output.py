"""What goes to stdout, and whether anybody reads it."""

import select
import shutil
import sys

UNBROKEN_COLUMNS = 160
"""Width of a line that goes to a file or a pipe."""


def columns() -> int:
    """Characters that a line may have."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else UNBROKEN_COLUMNS


def printable(text: str) -> str:
    """Text that does nothing to a terminal: what is not printable is written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def cut(text: str, width: int) -> str:
    """Text of at most this width, printable; where it is cut, one sees it."""
    width = max(width, 1)
    shown = printable(text[: width + 1])
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def write_lines(lines: list[str]) -> None:
    """Writes them at once. Raises BrokenPipeError where nobody reads any more."""
    sys.stdout.write("\n".join([*lines, ""]) if lines else "")


def flush() -> None:
    """Hands everything over. Raises BrokenPipeError, also where nothing was left to hand over."""
    sys.stdout.flush()
    if not hasattr(select, "poll"):
        return
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # no file is behind it
        return
    poll = select.poll()
    poll.register(number, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        raise BrokenPipeError
