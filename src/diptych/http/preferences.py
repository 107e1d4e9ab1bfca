"""The Prefer header of RFC 7240, as far as it means something here. What is not understood is passed over.

`wait=2`: how many seconds the views may take to reach the token. `handling=lenient`: an older answer will do then.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

_PREFERENCE = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+)))?\s*(?:;.*)?"""
)


class Preferences(NamedTuple):
    """What the client prefers, None where it says nothing, and how the response tells what was taken up."""

    wait: timedelta | None
    lenient: bool
    applied: bytes


NONE = Preferences(None, lenient=False, applied=b"")


def read_preferences(lines: Iterable[bytes], most: timedelta) -> Preferences:
    """The preferences of all Prefer headers; `wait` is bounded by `most`."""
    given = _parse(b",".join(lines).decode("latin-1"))
    applied: list[str] = []
    wait: timedelta | None = None
    if (seconds := given.get("wait", "")).isascii() and seconds.isdigit():
        wait = min(timedelta(seconds=int(seconds[:9])), most)
        applied.append(f"wait={wait.total_seconds():g}")
    handling = given.get("handling", "")
    if handling in ("lenient", "strict"):
        applied.append(f"handling={handling}")
    return Preferences(wait, handling == "lenient", ", ".join(applied).encode())


def _parse(text: str) -> dict[str, str]:
    """Preferences by name. "If any preference is specified more than once, only the first instance is to be used"."""
    found: dict[str, str] = {}
    for part in text.split(","):
        match = _PREFERENCE.fullmatch(part)
        if match is not None:
            name, quoted, token = match.groups()
            found.setdefault(name.lower(), quoted or token or "")
    return found
