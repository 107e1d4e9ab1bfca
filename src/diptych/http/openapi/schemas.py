"""JSON Schemas of a context's types: msgspec's own, made as strict as the messages are.

What msgspec leaves open and a message does not: a time has a zone, a decimal has a bounded number of digits, an id has
1 to 200 characters and no control character.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import inspect as shapes

from diptych.log import Token
from diptych.messages.values import MAX_DIGITS, MAX_ID

Schema = dict[str, Any]
Record = shapes.StructType | shapes.DataclassType | shapes.TypedDictType | shapes.NamedTupleType

REF = "#/components/schemas/{name}"
TOKEN: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}\\.[0-9]{1,18}$"}
ID: Schema = {"minLength": 1, "maxLength": MAX_ID, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"}
DECIMAL = f"^-?[0-9]{{1,{MAX_DIGITS}}}(\\.[0-9]{{1,{MAX_DIGITS}}})?$"

_TEXTUAL = (shapes.StrType, shapes.DateTimeType, shapes.TimeType, shapes.DecimalType)
_LISTS = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType)


class Schemas:
    """The schemas of some types, with their shared `components`. Clients write `incoming` ones and read `outgoing`."""

    def __init__(self, incoming: Sequence[Any], outgoing: Sequence[Any]) -> None:
        self._incoming = incoming
        self._types = [*incoming, *(kind for kind in outgoing if _has_schema(kind))]
        infos = [shapes.type_info(kind) for kind in self._types]
        seen: set[Any] = set()
        records = [record for info in infos for record in _records(info, seen)]
        found, self.components = msgspec.json.schema_components(
            [*self._types, *(record.cls for record in records)], schema_hook=_hook, ref_template=REF
        )
        self._found = found[: len(self._types)]
        self._names = {
            record.cls: str(schema["$ref"]).rpartition("/")[2]
            for record, schema in zip(records, found[len(self._types) :], strict=True)
        }
        self._refine(infos, records)

    def of(self, kind: Any) -> Schema:
        """The schema of one of the types: for most a reference. The empty one for a type that has none."""
        for known, schema in zip(self._types, self._found, strict=True):
            if known is kind or known == kind:
                return schema
        return {}

    def properties(self, kind: Any) -> dict[str, Schema]:
        """The schemas of a record's fields."""
        found: dict[str, Schema] = self.components[self._names[kind]]["properties"]
        return found

    def ids(self, kind: Any, fields: Iterable[str]) -> None:
        """Says of some fields of a record that they are ids."""
        published = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
        properties = self.properties(kind)
        for field in fields:
            for schema in _strings(properties[published[field]]):
                schema.update(ID)

    def _refine(self, infos: Sequence[shapes.Type], records: Sequence[Record]) -> None:
        incoming = {record.cls for info in infos[: len(self._incoming)] for record in _records(info, set())}
        for record in records:
            component = self.components[self._names[record.cls]]
            for field in record.fields:
                schema = component.get("properties", {}).get(field.encode_name)
                if schema is not None:
                    _refine(field.type, schema, incoming=record.cls in incoming)
        for info, schema in zip(infos, self._found, strict=True):
            _refine(info, schema, incoming=False)


def _hook(kind: type) -> Schema:
    if issubclass(kind, Token):
        return dict(TOKEN)
    if issubclass(kind, str):
        return {"type": "string"}
    raise TypeError(f"{kind.__name__} has no schema")


def _has_schema(kind: Any) -> bool:
    try:
        msgspec.json.schema_components([kind], schema_hook=_hook)
    except (TypeError, NameError):
        return False
    return True


def _records(info: shapes.Type, seen: set[Any]) -> Iterator[Record]:
    """Every record type in a type, itself included."""
    if isinstance(info, Record):
        if info.cls not in seen:
            seen.add(info.cls)
            yield info
            for field in info.fields:
                yield from _records(field.type, seen)
        return
    for part in _parts(info):
        yield from _records(part, seen)


def _parts(info: shapes.Type) -> Iterable[shapes.Type]:
    match info:
        case shapes.Metadata():
            return [info.type]
        case shapes.UnionType():
            return info.types
        case shapes.TupleType():
            return info.item_types
        case shapes.DictType():
            return [info.key_type, info.value_type]
        case _ if isinstance(info, _LISTS):
            return [info.item_type]
        case _:
            return ()


def _refine(info: shapes.Type, schema: Schema, *, incoming: bool) -> None:
    """Says what msgspec leaves open, in place."""
    match info:
        case shapes.DateTimeType():
            schema["format"] = "date-time"
        case shapes.TimeType():
            schema["format"] = "time"
        case shapes.DecimalType() if incoming:
            schema["pattern"] = DECIMAL
        case _:
            _refine_parts(info, schema, incoming=incoming)


def _refine_parts(info: shapes.Type, schema: Schema, *, incoming: bool) -> None:
    match info:
        case shapes.Metadata():
            _refine(info.type, schema, incoming=incoming)
        case shapes.DictType() if "additionalProperties" in schema:
            _refine(info.value_type, schema["additionalProperties"], incoming=incoming)
        case shapes.TupleType():
            for part, item in zip(info.item_types, schema.get("prefixItems", []), strict=False):
                _refine(part, item, incoming=incoming)
        case shapes.UnionType():
            for part in info.types:
                _refine_option(part, schema.get("anyOf", []), incoming=incoming)
        case _ if isinstance(info, _LISTS) and "items" in schema:
            _refine(info.item_type, schema["items"], incoming=incoming)
        case _:
            pass


def _refine_option(info: shapes.Type, options: Iterable[Schema], *, incoming: bool) -> None:
    """A union has at most one alternative of each JSON type, so the type tells which schema is whose."""
    plain = info.type if isinstance(info, shapes.Metadata) else info
    wanted = "string" if isinstance(plain, _TEXTUAL) else "array" if isinstance(plain, _LISTS) else "object"
    for option in options:
        if option.get("type") == wanted and not isinstance(plain, Record):
            _refine(info, option, incoming=incoming)


def _strings(schema: Schema) -> Iterator[Schema]:
    if schema.get("type") == "string" and "format" not in schema:
        yield schema
    for option in schema.get("anyOf", []):
        yield from _strings(option)
    if isinstance(schema.get("items"), dict):
        yield from _strings(schema["items"])
