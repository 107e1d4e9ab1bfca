"""Whether a message came back from JSON as it was given.

JSON has fewer types than Python: bytes would come back as text, and NaN as nothing. Lists and tuples are taken for the
same, and numbers that are equal.
"""

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from diptych.errors import Malformed


def check_same(given: Any, read: Any, path: str = "$") -> None:
    """Raises Malformed at the first place where what was read is not what was given."""
    if given == read:
        return
    given_parts, read_parts = _parts(given), _parts(read)
    if given_parts is None or read_parts is None or len(given_parts) != len(read_parts):
        raise Malformed(f"Expected a value that JSON gives back as it is, got {type(given).__name__}", path)
    for (step, mine), (_, other) in zip(given_parts, read_parts, strict=True):
        check_same(mine, other, path + step)


def _parts(value: Any) -> list[tuple[str, Any]] | None:
    """What a value consists of, each with its step of the path; None for a value in one piece."""
    if isinstance(value, msgspec.Struct):
        return [(f".{name}", getattr(value, name)) for name in value.__struct_fields__]
    if is_dataclass(value):
        return [(f".{field.name}", getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, dict):
        return _entries(value)
    return _items(value) if isinstance(value, (list, tuple)) else None


def _entries(value: Any) -> list[tuple[str, Any]]:
    return [(f"[{key!r}]", value[key]) for key in sorted(value, key=repr)]


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(f"[{number}]", item) for number, item in enumerate(value)]
