"""Errors as RFC 9457 problem documents: what a client gets to see of each error, and what it does not.

A problem says what was wrong with the request. Of what is wrong with the server it says nothing but the code: names of
files and words of exceptions stay in the log.
"""

from typing import Any
from urllib.parse import quote

import msgspec

from diptych.errors import (
    CommandIdReused,
    DiptychError,
    Malformed,
    NotCaughtUp,
    OutcomeUnknown,
    PreconditionFailed,
    ProjectionFailed,
    Rejected,
    Unavailable,
    UnreadableEvent,
)
from diptych.http.exchange import CLOSE, Headers, Request, Response
from diptych.http.refusals import BadHeader, MethodNotAllowed

TITLES = {
    "malformed": "The request cannot be read",
    "forbidden": "Not permitted",
    "not-found": "Nothing goes by this name",
    "method-not-allowed": "Not this method",
    "body-timeout": "The body came too slowly",
    "head-timeout": "The head of the request came too slowly",
    "conflict": "Others came in between",
    "command-in-flight": "The command is in flight",
    "precondition-failed": "The stream is at another version",
    "too-large": "More than a bound allows",
    "address-too-long": "The address is too long",
    "unsupported-media-type": "Not JSON",
    "command-id-reused": "The key was used for another command",
    "rejected": "A business rule said no",
    "headers-too-large": "The headers are too large",
    "internal-error": "The server failed",
    "unreadable-event": "A stored event cannot be read",
    "projection-failed": "A view cannot take it",
    "unavailable": "Not available for now",
    "outcome-unknown": "Whether it was kept is not known",
    "not-caught-up": "The view has not reached the token",
    "overloaded": "Too many requests at a time",
    "not-open": "Starting or stopping",
    "timed-out": "It took too long",
}
"""What each kind of problem is called. The kinds are the last step of a problem's `type`."""

CONTENT_TYPE = (b"content-type", b"application/problem+json")
RETRY_AFTER = (b"retry-after", b"1")
_encode = msgspec.json.Encoder().encode


def kind_of(error: DiptychError) -> str:
    """The kind of problem: the error's code, except that all rejections, whose codes are the context's, are one."""
    if isinstance(error, Rejected):
        return "rejected"
    return error.code if error.code in TITLES else "unavailable" if isinstance(error, Unavailable) else "internal-error"


def problem(error: DiptychError, request: Request) -> Response:
    """The response that an error becomes."""
    kind = kind_of(error)
    body: dict[str, Any] = {
        "type": f"{quote(request.root)}/problems/{kind}",
        "title": TITLES[kind],
        "status": error.status,
        "detail": detail_of(error),
        "code": error.code,
        **_facts(error),
    }
    if request.command_id is not None:
        body["command_id"] = request.command_id
    return Response(error.status, _headers(error, request), _encode(body))


def detail_of(error: DiptychError) -> str:
    """The detail that a client may see."""
    match error:
        case OutcomeUnknown():
            return f"Whether command {error.command_id!r} was kept is not known; send it again with the same key."
        case UnreadableEvent():
            return f"The event at position {error.position} of the log cannot be read by this server."
        case NotCaughtUp(held=str(held)):
            return (
                f"View {error.view} stands at position {error.position} and not yet at {error.wanted}: a dead letter "
                f"holds back its {held}."
            )
        case ProjectionFailed():
            return f"Nothing was kept: view {error.view}, which is kept in step with the log, cannot take it."
        case Unavailable(code="unavailable" | "not-a-store"):
            return "The store cannot be reached, or takes no more for now. Nothing was kept; try again."
        case _:
            return error.detail


def _facts(error: DiptychError) -> dict[str, object]:
    match error:
        case BadHeader():
            return {"header": error.header}
        case Malformed():
            return {"path": error.path}
        case PreconditionFailed():
            return {"expected": error.expected, "found": error.found}
        case NotCaughtUp():
            held = {} if error.held is None else {"held": error.held}
            return {"view": error.view, "position": error.position, "wanted": error.wanted, **held}
        case ProjectionFailed():
            return {"view": error.view}
        case CommandIdReused() | OutcomeUnknown():
            return {"command_id": error.command_id}
        case _:
            return {}


def _headers(error: DiptychError, request: Request) -> Headers:
    headers: Headers = [CONTENT_TYPE, (b"cache-control", b"no-store")]
    if error.status == 503:
        headers.append(RETRY_AFTER)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    if request.unread and request.scope.get("http_version", "1.1").startswith("1"):
        headers.append(CLOSE)  # whatever else comes of it, nobody waits for it
    return headers
