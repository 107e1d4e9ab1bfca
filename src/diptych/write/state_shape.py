"""The way between an aggregate's state and its JSON, for snapshots: exact, or not at all.

A state that comes back from JSON as another one, be it in the type of a number, would be decided on differently.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from typing import Any, cast

import msgspec

from diptych.errors import Malformed
from diptych.messages import plain_schema, value_check

_encode = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical").encode
_CANNOT_BE_WRITTEN = (TypeError, ValueError, OverflowError, RecursionError)


class StateShape:
    """A kind of state: the alternatives of its type, after the first event; the aggregate's version; its beginning.

    `fingerprint` changes with each of the three. Building it raises TypeError for a type that JSON does not give back.
    """

    def __init__(self, kinds: Iterable[Any], version: int, initial: object) -> None:
        alternatives = tuple(kinds)
        if not alternatives or any(kind in (Any, object) for kind in alternatives):
            raise TypeError("no annotation says its type")
        kind = functools.reduce(_either, alternatives)
        value_check(kind)  # it says which part has no JSON form
        schema = plain_schema(kind)
        self._decode = msgspec.json.Decoder(kind).decode
        beginning = msgspec.json.encode([version, schema, msgspec.Raw(self._json(initial))], order="deterministic")
        self.fingerprint = hashlib.sha256(beginning).hexdigest()[:32]

    def write(self, state: object) -> bytes:
        """The state's JSON. Raises Malformed for a state that would not be read back as it is."""
        try:
            data = self._json(state)
            same = is_same(state, self._decode(data))
        except (TypeError, msgspec.MsgspecError) as error:
            raise Malformed(str(error)) from None
        if not same:
            raise Malformed("JSON gives it back as another state")
        return data

    def read(self, data: bytes) -> Any:
        """The state in this JSON. Raises ValueError, and whatever the state's own code raises."""
        return self._decode(data)

    @staticmethod
    def _json(state: object) -> bytes:
        try:
            return _encode(state)
        except _CANNOT_BE_WRITTEN as error:
            raise TypeError(f"it cannot be written as JSON: {error}") from None


def _either(one: Any, other: Any) -> Any:
    return one | other


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types, all the way down, mappings also in their order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (datetime, time)):
        return bool(one == other and one.tzinfo == other.tzinfo)
    if isinstance(one, (set, frozenset)):
        return _typed(cast("Iterable[Any]", one)) == _typed(other)
    parts = _parts(one)
    if parts is None:
        return bool(one == other)
    others = _parts(other) or []
    return len(parts) == len(others) and all(map(is_same, parts, others))


def _entries(mapping: Any) -> list[Any]:
    return [part for item in mapping.items() for part in item]


def _typed(values: Iterable[Any]) -> set[tuple[type, Any]]:
    return {(type(value), value) for value in values}


def _parts(value: Any) -> list[Any] | None:
    """What a value consists of, in order; None for a value in one piece."""
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        return _entries(value)
    if isinstance(value, (list, tuple)):
        return list(cast("Iterable[Any]", value))
    return None
