"""Cursors: where a page ended, as an opaque text that only fits the question that it came from."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.errors import Malformed
from diptych.read.shape import ViewShape
from diptych.read.store import Selector

_DIGEST = 8


def write_cursor(shape: ViewShape[Any], selector: Selector, values: Sequence[Any]) -> str:
    """The cursor after a row with these values of the order's fields."""
    body = msgspec.msgpack.encode(values)  # JSON has no infinity
    return base64.urlsafe_b64encode(_digest(shape, selector, body) + body).decode().rstrip("=")


def read_cursor(shape: ViewShape[Any], selector: Selector, cursor: str) -> tuple[Any, ...]:
    """The values again. Raises Malformed for a cursor that was changed, or that belongs to another question."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _foreign() from None
    digest, body = raw[:_DIGEST], raw[_DIGEST:]
    if digest != _digest(shape, selector, body):
        raise _foreign()
    values = msgspec.msgpack.decode(body)
    columns = [shape.column(order.field) for order in selector.order]
    return tuple(
        [
            None if value is None else msgspec.convert(value, column.type, strict=False)
            for value, column in zip(values, columns, strict=True)
        ]
    )


def _digest(shape: ViewShape[Any], selector: Selector, body: bytes) -> bytes:
    question = msgspec.json.encode((shape.fingerprint, selector.filters, selector.order))
    return hashlib.blake2b(question + body, digest_size=_DIGEST).digest()


def _foreign() -> Malformed:
    return Malformed("This cursor was not given for this question; begin again without one", "$.cursor")
