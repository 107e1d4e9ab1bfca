"""A message type's shape: the way between a typed message and its JSON, and the check that holds on that way.

A message built in Python takes the same way as one that came in as JSON, so both are held to the same rules.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from diptych.errors import Malformed
from diptych.messages.keys import check_keys
from diptych.messages.sameness import check_same
from diptych.messages.values import value_check

M = TypeVar("M")


def _as_text(value: object) -> str:
    """Kinds of text, such as a token, are text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(
    order="deterministic", decimal_format="string", uuid_format="canonical", enc_hook=_as_text
)


def to_json(value: object) -> bytes:
    """The canonical JSON of a message: UTF-8, fields in order of declaration, Decimals as strings.

    Raises Malformed where a value has no JSON form.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"{type(value).__name__} cannot be written as JSON: {error}") from None


class Shape(Generic[M]):
    """Decodes and validates messages of one type. Building it raises TypeError for a type without JSON form."""

    __slots__ = ("_check", "_decode", "kind")

    def __init__(self, kind: type[M]) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(kind).decode
        self._check = value_check(kind)

    def decode(self, data: bytes) -> M:
        """The message in this JSON. Raises Malformed, with the path of what is wrong."""
        try:
            message = self._decode(data)
        except msgspec.ValidationError as error:
            raise malformed(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"This is not JSON: {error}") from None
        if self._check is not None:
            self._check(message)
        return message

    def received(self, data: bytes) -> tuple[M, bytes]:
        """The message in this JSON, and its canonical JSON. Raises Malformed, with the path of what is wrong."""
        message = self.decode(data)
        check_keys(data)
        return message, to_json(message)

    def converted(self, values: Mapping[str, object]) -> M:
        """The message of these values by field. What JSON writes as text may be text. Raises Malformed."""
        try:
            message = msgspec.convert(values, self.kind)
        except msgspec.ValidationError as error:
            raise malformed(error) from None
        if self._check is not None:
            self._check(message)
        return message

    def validated(self, message: M) -> tuple[M, bytes]:
        """A message built in Python, validated as if it had come in as JSON, and that JSON. Raises Malformed."""
        data = to_json(message)
        read = self.decode(data)
        if read != message:
            check_same(message, read)
        return read, data


def malformed(error: msgspec.ValidationError) -> Malformed:
    """The same complaint with its path apart: msgspec writes it as 'Expected ... - at `$.path`'."""
    detail, _, path = str(error).partition(" - at `")
    return Malformed(detail, path.rstrip("`") or "$")


def convert(value: Any, kind: Any, path: str) -> Any:
    """A Python value as this type, strictly. Raises Malformed, with the given path."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Malformed(malformed(error).detail, path) from None
