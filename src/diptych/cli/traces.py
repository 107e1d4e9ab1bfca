"""What of a traceback is the user's: the lines of their code, without the way there and without the libraries."""

import os
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

_DIPTYCH = str(Path(__file__).parents[1]) + os.sep
_STANDARD = tuple({sysconfig.get_path("stdlib") + os.sep, sysconfig.get_path("platstdlib") + os.sep})
_INSTALLED = tuple({sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("platlib") + os.sep})


MOST_FRAMES = 20
"""Places that are shown of a longer way, the last ones: an endless recursion has a thousand."""


def shortened(error: BaseException) -> list[str]:
    """The error and the places in the user's code that led to it, oldest first, as lines."""
    told = traceback.TracebackException.from_exception(error)
    frames = theirs(told.stack)
    lines = [f"{shown(frame.filename)}:{frame.lineno}: {frame.line}" for frame in frames[-MOST_FRAMES:]]
    if len(frames) > MOST_FRAMES:
        lines.insert(0, f"... {len(frames) - MOST_FRAMES} more before")
    return lines + [line.rstrip() for line in "".join(told.format_exception_only()).splitlines() if line.strip()]


def theirs(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """The frames of the user's own files; those of installed packages only where there are no others."""
    foreign = [frame for frame in frames if not _is_machinery(frame.filename)]
    own = [frame for frame in foreign if not frame.filename.startswith(_INSTALLED)]
    return own or foreign


def shown(file: str) -> str:
    """The file as it is seen from the working folder, where it is below it."""
    here = str(Path.cwd()) + os.sep
    return file.removeprefix(here)


def _is_machinery(file: str) -> bool:
    if file.startswith(("<", _DIPTYCH)):
        return True
    return file.startswith(_STANDARD) and not file.startswith(_INSTALLED)
