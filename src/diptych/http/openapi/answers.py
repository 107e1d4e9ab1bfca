"""What an address may answer beside its 200: every status with the codes that it comes with, and the headers."""

from collections.abc import Iterable
from typing import Any

from diptych.http.openapi.schemas import TOKEN

Object = dict[str, Any]

PROBLEM: Object = {
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 has it. `code` is stable.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "The kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "The kind again; of a rejection, the rule that said no."},
        "path": {"type": "string", "description": "Where in the body or the parameters, such as `$.lines[0].price`."},
        "header": {"type": "string", "description": "Which header."},
        "command_id": {"type": "string"},
        "expected": {"type": "integer", "description": "The version that the command was conditioned on."},
        "found": {"type": "integer", "description": "The version that the stream has."},
        "view": {"type": "string", "description": "The view that is behind, or cannot take what would have happened."},
        "position": {"type": "integer", "description": "The position that the view has reached."},
        "wanted": {"type": "integer", "description": "The token's position."},
        "held": {"type": "string", "description": 'What a dead letter holds back there, such as `key "7"`.'},
    },
}

READING = {
    400: "`malformed`: the message, a parameter or a header cannot be read; `path` or `header` says where.",
    404: "`not-found`: nothing goes by this name.",
    405: "`method-not-allowed`: `Allow` names the methods that are.",
    414: "`address-too-long`: send a long query by POST.",
    431: "`headers-too-large`.",
    500: "`internal-error`, `unreadable-event`: the server failed; its log says how.",
    503: "`unavailable`, `overloaded`, `not-open`: ask again after `Retry-After` seconds.",
}
BODY = {
    408: "`body-timeout`: the body came too slowly.",
    413: "`too-large`: the body is larger than its bound.",
    415: "`unsupported-media-type`: the body must be JSON in UTF-8, and not compressed.",
}
COMMAND = (
    READING
    | BODY
    | {
        403: "`forbidden`.",
        500: "`projection-failed`: a view cannot take it, and nothing was kept. " + READING[500],
        409: "`command-in-flight`: the same key is at work; `conflict`: others kept coming in between.",
        412: "`precondition-failed`: the stream is not at the version of If-Match.",
        422: "A business rule said no: `code` is the rule's. Or `command-id-reused`: the key came with another body.",
        503: "`unavailable`, `overloaded`, `not-open`: nothing was kept. `outcome-unknown`: send it again.",
    }
)
QUERY = READING | {
    403: "`forbidden`.",
    409: "`conflict`.",
    413: "`too-large`: the answer, or the body, is larger than its bound.",
    422: "What the handler of the query refused, with its own code.",
    503: "`not-caught-up`: a view has not reached the token in time. `unavailable`, `overloaded`, `not-open`.",
    504: "`timed-out`: the answer took too long.",
}
QUERY_BY_BODY = QUERY | BODY | {413: QUERY[413]}


def problems(described: dict[int, str]) -> Object:
    """The responses for these statuses."""
    return {str(status): _problem(status, text) for status, text in sorted(described.items())}


def header(name: str, description: str, schema: Object | None = None, example: str | None = None) -> Object:
    """A request header as a parameter."""
    described = {"name": name, "in": "header", "description": description, "schema": schema or {"type": "string"}}
    return described if example is None else described | {"example": example}


def sent(names: Iterable[str]) -> Object:
    """Response headers, by name."""
    return {name: RESPONSE_HEADERS[name] for name in names}


RESPONSE_HEADERS: dict[str, Object] = {
    "Diptych-Token": {"description": "Show it to a query as `Diptych-After`.", "schema": TOKEN},
    "Location": {"description": "Where the command's status is.", "schema": {"type": "string"}},
    "ETag": {"description": "What the answer is told by.", "schema": {"type": "string"}},
    "Diptych-Position": {"description": "The log position that the answer has.", "schema": {"type": "integer"}},
    "Diptych-Lag": {"description": "Seconds that the answer trails the log by.", "schema": {"type": "number"}},
    "Diptych-Stale": {"description": "There if the answer lacks the token.", "schema": {"enum": ["true"]}},
    "Diptych-Parked": {
        "description": "There if dead letters hold back rows of the views that were read: how many keys.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Preference-Applied": {"description": "What of `Prefer` was taken up.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
    "Allow": {"description": "The methods that this address takes.", "schema": {"type": "string"}},
}


def _problem(status: int, text: str) -> Object:
    response: Object = {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    names = {503: ["Retry-After"], 405: ["Allow"]}.get(status, [])
    return response | ({"headers": sent(names)} if names else {})
