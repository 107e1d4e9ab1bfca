"""JSON from outside must not say a thing twice: of two values for one key, anybody may read another one.

msgspec takes the last one without a word, so the standard library looks once more at what has come in.
"""

import json
from typing import Any

from diptych.errors import Malformed


def check_keys(data: bytes) -> None:
    """Raises Malformed for JSON with an object that has a key twice. The data was decoded before."""
    try:
        _look(data.decode(errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"This is not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    raise Malformed(f"Key {twice!r} is there more than once in one object")


_look = json.JSONDecoder(object_pairs_hook=_unique).decode
