"""How a setting's value is written: the same text in a file, in the environment and on the command line.

A form reads text, raises ValueError with what it expected, and writes a value as a person would.
"""

import re
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from diptych.stores import without_password

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")  # no sign, no leading zero: YAML would read 010 as 8
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)")
_SIZE = re.compile(r"([1-9][0-9]{0,11})(KiB|MiB|GiB)?")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}
_SCALES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}

LONGEST = timedelta(hours=24)
LARGEST = 1 << 30


class Form(Protocol):
    """`expected` says in words what is asked for."""

    @property
    def expected(self) -> str: ...

    def read(self, text: str) -> Any:
        """The value that the text stands for. Raises ValueError for text that stands for none."""
        ...

    def write(self, value: Any) -> str:
        """Text that reads as the value, and shows no secret."""
        ...


class Text(NamedTuple):
    """Any text but none at all."""

    expected: str

    def read(self, text: str) -> str:
        if not text.strip() or not text.isprintable():
            raise ValueError(self.expected)
        return text

    def write(self, value: str) -> str:
        return value


class Url(NamedTuple):
    """A URL, which may have a password in it. Whether anything stands there is not asked."""

    expected: str

    def read(self, text: str) -> str:
        return Text(self.expected).read(text)

    def write(self, value: str) -> str:
        return without_password(value)


class Choice(NamedTuple):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(self.words)}"

    def read(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(self.expected)
        return text

    def write(self, value: str) -> str:
        return value


class Flag(NamedTuple):
    """Yes or no."""

    expected: str = "one of true, false"

    def read(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise ValueError(self.expected)
        return text == "true"

    def write(self, value: bool) -> str:  # noqa: FBT001 - what it writes
        return "true" if value else "false"


class Whole(NamedTuple):
    """A whole number within its bounds, both included."""

    least: int
    most: int

    @property
    def expected(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def read(self, text: str) -> int:
        if _WHOLE.fullmatch(text) is None or not self.least <= int(text) <= self.most:
            raise ValueError(self.expected)
        return int(text)

    def write(self, value: int) -> str:
        return str(value)


class Duration(NamedTuple):
    """A time with its unit."""

    least: timedelta

    @property
    def expected(self) -> str:
        return f"a duration from {self.write(self.least)} to {self.write(LONGEST)}, such as 500ms, 10s or 2m"

    def read(self, text: str) -> timedelta:
        found = _DURATION.fullmatch(text)
        value = None if found is None else float(found[1]) * _UNITS[found[2]]
        if value is None or not self.least <= value <= LONGEST:
            raise ValueError(self.expected)
        return value

    def write(self, value: timedelta) -> str:
        for unit in ("h", "m", "s"):
            if value and not value % _UNITS[unit]:
                return f"{value // _UNITS[unit]}{unit}"
        return f"{value / _UNITS['ms']:.3f}".rstrip("0").rstrip(".") + "ms" if value else "0s"


class Size(NamedTuple):
    """A number of bytes."""

    least: int

    @property
    def expected(self) -> str:
        return f"a size from {self.write(self.least)} to {self.write(LARGEST)}, such as 16KiB, 1MiB or 500 (bytes)"

    def read(self, text: str) -> int:
        found = _SIZE.fullmatch(text)
        value = 0 if found is None else int(found[1]) * _SCALES.get(found[2], 1)
        if not self.least <= value <= LARGEST:
            raise ValueError(self.expected)
        return value

    def write(self, value: int) -> str:
        for unit, bytes_ in _SCALES.items():
            if not value % bytes_:
                return f"{value // bytes_}{unit}"
        return str(value)
