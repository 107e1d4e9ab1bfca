"""The grammars of the headers that the gateway reads, each after its standard. Pure: bytes in, values out."""

import re

from diptych.http.refusals import BadHeader
from diptych.messages.values import MAX_ID

_VERSION = re.compile(rb'"([0-9]{1,18})"')
_BARE_KEY = re.compile(rb"[!#-+\--:<-~]+")  # visible ASCII without the quote, comma and semicolon
_QUOTED_KEY = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # a string of RFC 8941, 3.3.3
_VISIBLE = re.compile(rb"[!-~]+")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def stream_version(value: bytes) -> int:
    """The version in an If-Match: the strong entity tag that a command's response carried. Raises BadHeader."""
    found = _VERSION.fullmatch(value.strip())
    if found is None:
        raise BadHeader("If-Match", 'the version of the stream in quotes, such as "3"')
    return int(found[1])


def idempotency_key(value: bytes) -> str:
    """The key, which may be bare or a quoted string of RFC 8941. Raises BadHeader."""
    value = value.strip()
    quoted = _QUOTED_KEY.fullmatch(value)
    if quoted is not None:
        key = quoted[1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
    elif _BARE_KEY.fullmatch(value):
        key = value
    else:
        key = b""
    if not 0 < len(key) <= MAX_ID:
        raise BadHeader("Idempotency-Key", f"1 to {MAX_ID} visible ASCII characters, bare or in quotes")
    return key.decode("ascii")


def correlation_id(value: bytes) -> str:
    """An X-Correlation-ID. Raises BadHeader."""
    if not _VISIBLE.fullmatch(value) or len(value) > MAX_ID:
        raise BadHeader("X-Correlation-ID", f"1 to {MAX_ID} visible ASCII characters")
    return value.decode("ascii")


def traceparent(value: bytes) -> str | None:
    """A W3C traceparent, or None for one that must be ignored: "the vendor […] restarts the trace"."""
    found = _TRACEPARENT.fullmatch(value)
    if found is None or len(value) > MAX_ID:
        return None
    version, trace, parent, more = found.groups()
    if version == b"ff" or (version == b"00" and more) or not trace.strip(b"0") or not parent.strip(b"0"):
        return None
    return value.decode("latin-1") if value.isascii() else None


def matches(value: bytes, tag: bytes) -> bool:
    """Whether an If-None-Match names this entity tag, weakly compared, or any (RFC 9110, 13.1.2)."""
    return value == tag or any(part.strip().removeprefix(b"W/") in (tag, b"*") for part in value.split(b","))
