"""A type's JSON Schema as plain data, to be compared with that of another day: without references, without words."""

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

_WORDS = ("title", "description", "default", "examples")


def plain_schema(kind: Any) -> Schema:
    """The schema, with every part where it is used; what refers to itself keeps its name.

    Raises TypeError for a type without JSON form.
    """
    (schema,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    return _fields(_plain(schema, components, ()))


def _plain(schema: Any, components: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_plain(item, components, within) for item in _items(schema)]
    if not isinstance(schema, dict):
        return schema
    fields: Schema = _fields(schema)
    if (name := fields.get("$ref")) is not None:
        return {"$ref": name} if name in within else _plain(components[name], components, (*within, name))
    if "properties" in fields:
        parts = {key: _plain(part, components, within) for key, part in fields["properties"].items()}
        rest = {key: value for key, value in fields.items() if key != "properties"}
        return {**_plain(rest, components, within), "properties": parts}
    return {key: _plain(value, components, within) for key, value in fields.items() if key not in _WORDS}


def _items(value: Any) -> list[Any]:
    return list(value)


def _fields(value: Any) -> Schema:
    return dict(value)
