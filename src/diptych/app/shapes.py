"""The shapes of a context's events as plain data, to be kept beside the code, and what a change of them means.

An event's shape may change as long as nothing of it is stored. From then on a new shape is a new schema, or stored
events could no longer be read; what can still be read without is told apart.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from diptych.messages import Event, Schema, plain_schema

Shapes = dict[str, dict[str, Schema]]
"""By stored name, by schema number as text: the JSON Schema of the event, and its tags."""


class Change(NamedTuple):
    """One difference between the recorded shapes and the code. A `breaking` one leaves stored events unreadable."""

    event: str
    what: str
    breaking: bool


def shapes_of(events: Iterable[type[Event]]) -> Shapes:
    """The shapes of these events, each under its present schema number."""
    return {
        declared.name: {str(declared.schema): {"tags": list(declared.tags), "data": plain_schema(event)}}
        for event, declared in ((event, event.__declared__) for event in events)
    }


def changes(recorded: Shapes, present: Shapes, retired: Iterable[str]) -> list[Change]:
    """What is different in the code, by name of the event."""
    found: list[Change] = []
    for name in sorted({*recorded, *present} - set(retired)):
        if name not in present:
            what = "it is gone; name it in retired=, or give its class this name with name="
            found.append(Change(name, what, breaking=True))
            continue
        ((number, shape),) = present[name].items()
        known = recorded.get(name, {})
        if number in known:
            found += _difference(name, number, known[number], shape)
        elif known and int(number) < max(map(int, known)):
            what = f"its schema is {number}, and {max(map(int, known))} was recorded before"
            found.append(Change(name, what, breaking=True))
        else:
            found.append(Change(name, f"its schema {number} is new", breaking=False))
    return found


def renewed(recorded: Shapes, present: Shapes) -> Shapes:
    """What is to be recorded from now on: earlier schemas stay."""
    return {name: recorded.get(name, {}) | present.get(name, {}) for name in sorted({*recorded, *present})}


def _difference(name: str, number: str, before: Schema, now: Schema) -> list[Change]:
    if before == now:
        return []
    reasons = _reasons(before["data"], now["data"], "$")
    if reasons:
        what = f"it changed and is still schema {number}: {'; '.join(reasons)}"
        return [Change(name, what, breaking=True)]
    what = "its tags changed" if before["data"] == now["data"] else "it changed, and stored events can still be read"
    return [Change(name, what, breaking=False)]


def _reasons(before: Schema, now: Schema, path: str) -> list[str]:
    """Why what fitted before may not fit now; none where it all does."""
    if before == now or before in now.get("anyOf", ()):
        return []
    if before.get("type") == now.get("type") == "object" and "properties" in before:
        return _object_reasons(before, now, path)
    if before.get("type") == now.get("type") == "array" and "items" in before and "items" in now:
        rest = {key: value for key, value in before.items() if key != "items"}
        if rest == {key: value for key, value in now.items() if key != "items"}:
            return _reasons(before["items"], now["items"], f"{path}[...]")
    return [f"{path} is of another type or within other bounds"]


def _object_reasons(before: Schema, now: Schema, path: str) -> list[str]:
    old, new = _properties(before), _properties(now)
    reasons = [f"{path}.{name} is new and required" for name in now.get("required", ()) if name not in old]
    reasons += [
        f"{path}.{name} was not always there and is required now"
        for name in now.get("required", ())
        if name in old and name not in before.get("required", ())
    ]
    if now.get("additionalProperties") is False:
        reasons += [f"{path}.{name} is gone, and unknown fields are refused there" for name in old if name not in new]
    for name in old:
        if name in new:
            reasons += _reasons(old[name], new[name], f"{path}.{name}")
    return reasons


def _properties(schema: Schema) -> Mapping[str, Schema]:
    found: Mapping[str, Schema] = schema.get("properties", {})
    return found
