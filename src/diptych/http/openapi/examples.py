"""One example for a schema: plausible at first sight, valid where no rule of the context says otherwise."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "decimal": "12.50",
}


def example_of(schema: Schema, components: Mapping[str, Schema], name: str = "", within: tuple[str, ...] = ()) -> Any:
    """A value that fits the schema. `name` is that of the field it is for; a type inside itself ends with None."""
    if "$ref" in schema:
        component = str(schema["$ref"]).rpartition("/")[2]
        if component in within:
            return None
        return example_of(components[component], components, name, (*within, component))
    for key in ("default", "const"):
        if schema.get(key) is not None:
            return schema[key]
    if schema.get("examples") or schema.get("enum"):
        return (schema.get("examples") or schema["enum"])[0]
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return example_of(option, components, name, within)
    return _plain(schema, components, name, within)


def _plain(schema: Schema, components: Mapping[str, Schema], name: str, within: tuple[str, ...]) -> Any:
    match schema.get("type"):
        case "string":
            return _text(schema, name)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "array":
            return _items(schema, components, name, within)
        case "object":
            properties: Mapping[str, Schema] = schema.get("properties", {})
            return {key: example_of(value, components, key, within) for key, value in properties.items()}
        case _:
            return None


def _items(schema: Schema, components: Mapping[str, Schema], name: str, within: tuple[str, ...]) -> list[Any]:
    if "prefixItems" in schema:
        return [example_of(item, components, name, within) for item in schema["prefixItems"]]
    if not isinstance(schema.get("items"), Mapping):
        return []
    one = example_of(schema["items"], components, name.removesuffix("s"), within)
    return [] if one is None else [one] * max(1, schema.get("minItems", 1))


def _text(schema: Schema, name: str) -> str:
    if "format" in schema:
        return FORMATS.get(schema["format"], "")
    text = f"{name.removesuffix('_id')}-1" if name.endswith("_id") else name.replace("_", " ") or "text"
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(text))
    return text.ljust(least, "x")[:most]


def _number(schema: Schema) -> int | float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
    most = schema.get(
        "maximum", schema.get("exclusiveMaximum", least + 1) - 1 if "exclusiveMaximum" in schema else least
    )
    number: int | float = least if least <= most and least > 0 else min(1, most) if least <= 1 else least
    return number
