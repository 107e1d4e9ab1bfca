"""What a change of state looks like: the state's leaves by their paths, before and after."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec


class Change(NamedTuple):
    """One leaf: `before` is absent where it is new, `after` where it is gone."""

    path: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET


def plain(state: object) -> Any:
    """The state in what JSON has; a value of another kind is shown as Python shows it."""
    try:
        return msgspec.to_builtins(state, str_keys=True, enc_hook=repr, order="deterministic")
    except (TypeError, ValueError, RecursionError):
        return repr(state)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """The values in it that hold no others, and those that are empty, each by its path."""
    found: dict[str, Any] = {}
    if isinstance(value, dict) and value:
        for name, part in cast("dict[str, Any]", value).items():
            found |= leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)) and value:
        for number, part in enumerate(cast("Sequence[Any]", value)):
            found |= leaves(part, f"{path}[{number}]")
    else:
        found[path] = value
    return found


def changes(before: Any, after: Any) -> list[Change]:
    """What is different, in the order of the later state, what is gone at the end."""
    old, new = leaves(before), leaves(after)
    found = [
        Change(path, old.get(path, msgspec.UNSET), value)
        for path, value in new.items()
        if (path not in old and not _was_filled(path, value, old)) or (path in old and _differ(old[path], value))
    ]
    gone = [Change(path, value) for path, value in old.items() if path not in new]
    return found + [change for change in gone if not _was_filled(change.path, change.before, new)]


def as_text(change: Change) -> str:
    """A line of the diff."""
    path = change.path or "(state)"
    if change.before is msgspec.UNSET:
        return f"+ {path}: {value_text(change.after)}"
    if change.after is msgspec.UNSET:
        return f"- {path}: {value_text(change.before)}"
    return f"~ {path}: {value_text(change.before)} → {value_text(change.after)}"


def value_text(value: Any) -> str:
    """A value as JSON has it."""
    return msgspec.json.encode(value).decode()


def _differ(before: Any, after: Any) -> bool:
    """As JSON has them: true is not 1 there."""
    return (type(before), before) != (type(after), after)


def _was_filled(path: str, value: Any, other: dict[str, Any]) -> bool:
    """Whether an empty list or mapping has values in the other state: they say it all."""
    return value in ([], (), {}) and any(name.startswith((f"{path}[", f"{path}.")) or not path for name in other)
