"""The whole document: one path for each command and each query, and those of the gateway itself."""

from collections.abc import Callable
from inspect import cleandoc
from typing import Any
from urllib.parse import quote

import msgspec

from diptych.app import BoundedContext, CommandStatus
from diptych.http.openapi.answers import COMMAND, PROBLEM, QUERY, QUERY_BY_BODY, READING, header, problems, sent
from diptych.http.openapi.examples import example_of
from diptych.http.openapi.schemas import TOKEN, Schema, Schemas
from diptych.http.parameters import Parameters, is_list
from diptych.http.role import Role
from diptych.messages import Command
from diptych.read import QueryHandler
from diptych.write import Receipt

Object = dict[str, Any]

GATEWAY = "gateway"

KEY = header(
    "Idempotency-Key",
    "The command's id, bare or in quotes. With the same key again, a command gets its first receipt.",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!#-+.-:<-~-]+$"},
)
IF_MATCH = header(
    "If-Match",
    'The version that the stream must be at, in quotes: `"3"`.',
    {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
    example='"1"',
)
CORRELATION = header(
    "X-Correlation-ID",
    "What the command belongs to; kept with its events.",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
)
TRACE = header("traceparent", "The W3C trace context; kept with the events.")
AFTER = header("Diptych-After", "A token: the answer is never older than it.", TOKEN)
PREFER = header("Prefer", "`wait=2`: seconds to wait for the token; `handling=lenient`: an older answer will do then.")
IF_NONE_MATCH = header("If-None-Match", "The ETag of an answer that the client has.")

ANSWERED = ("ETag", "Diptych-Position", "Diptych-Lag", "Diptych-Stale", "Diptych-Parked", "Preference-Applied")


def describe(context: BoundedContext, role: Role = Role.ALL) -> Callable[[str], bytes]:
    """The description of what a server of this role has of a context: JSON, as a function of where it is mounted."""
    return lambda root: msgspec.json.encode(_Description(context, role).document(root), order=None)


class _Description:
    def __init__(self, context: BoundedContext, role: Role) -> None:
        self._context = context
        self._queries = role.queries_of(context)
        self._role = role
        self._base = f"/{quote(context.name, safe='')}"
        self._commands = {
            command: rules.aggregate for rules in role.aggregates_of(context) for command in rules.deciders
        }
        results = [handler.result for handler in self._queries]
        self._schemas = Schemas(
            [*self._commands, *(handler.query for handler in self._queries)], [*results, Receipt, CommandStatus]
        )
        for command, aggregate in self._commands.items():
            self._schemas.ids(command, {aggregate.id, *aggregate.boundary})

    def document(self, root: str) -> Object:
        paths: Object = {}
        for command in sorted(self._commands, key=_name):
            paths[f"{self._base}/commands/{quote(_name(command), safe='')}"] = {"post": self._command(command)}
        if self._role.commands:
            paths[f"{self._base}/commands/{{command_id}}"] = {"get": self._status()}
        for handler in sorted(self._queries, key=lambda handler: _name(handler.query)):
            paths[f"{self._base}/queries/{quote(_name(handler.query), safe='')}"] = self._query(handler)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self._context.name,
                "version": "1",
                "description": "Commands are decided, events kept, queries answered. Show a command's `Diptych-Token` "
                "to a query as `Diptych-After`, and its answer is never older than the command.",
            },
            "servers": [{"url": quote(root) or "/"}],
            "tags": [{"name": self._context.name}, {"name": GATEWAY}],
            "paths": paths | _own_paths(),
            "components": {"schemas": self._schemas.components | {"Problem": PROBLEM}},
        }

    def _command(self, command: type[Command]) -> Object:
        aggregate = self._commands[command]
        return {
            "operationId": f"command_{_name(command)}",
            "tags": [self._context.name],
            **_words(command, f"Decided by the aggregate `{aggregate.name}`."),
            "parameters": [KEY, CORRELATION, TRACE, *(() if aggregate.boundary else (IF_MATCH,))],
            "requestBody": self._body(command),
            "responses": {
                "200": {
                    "description": "The receipt: the command was accepted, and its events are kept.",
                    "headers": sent(["Diptych-Token", "Location", "ETag"]),
                    "content": _json(self._schemas.of(Receipt)),
                }
            }
            | problems(COMMAND),
        }

    def _status(self) -> Object:
        parameter = {
            "name": "command_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        return {
            "operationId": "command_status",
            "tags": [self._context.name],
            "summary": "What became of a command.",
            "parameters": [parameter],
            "responses": {"200": {"description": "Its status.", "content": _json(self._schemas.of(CommandStatus))}}
            | problems(READING),
        }

    def _query(self, handler: QueryHandler) -> Object:
        parameters = Parameters(handler.shape)
        asked: Object = {
            "tags": [self._context.name],
            **_words(handler.query, ""),
        }
        answer = {
            "200": {
                "description": "The answer.",
                "headers": sent(ANSWERED),
                "content": _json(self._schemas.of(handler.result)),
            }
        }
        by_body = asked | {
            "operationId": f"post_{_name(handler.query)}",
            "parameters": [AFTER, PREFER],
            "requestBody": self._body(handler.query),
            "responses": answer | problems(QUERY_BY_BODY),
        }
        if not parameters.enough:
            return {"post": by_body}
        by_address = asked | {
            "operationId": f"get_{_name(handler.query)}",
            "parameters": [*self._parameters(handler, parameters), AFTER, PREFER, IF_NONE_MATCH],
            "responses": answer
            | {"304": {"description": "The client has this answer.", "headers": sent(["ETag"])}}
            | problems(QUERY),
        }
        return {"get": by_address, "post": by_body}

    def _parameters(self, handler: QueryHandler, parameters: Parameters[Any]) -> list[Object]:
        properties = self._schemas.properties(handler.query)
        described: list[Object] = []
        for name, field in parameters.fields.items():
            schema = _without_null(properties[name])
            if is_list(field.type) and field.required:
                schema = {"minItems": 1} | schema
            described.append({"name": name, "in": "query", "required": field.required, "schema": schema})
        return described

    def _body(self, message: Any) -> Object:
        schema = self._schemas.of(message)
        example = example_of(schema, self._schemas.components)
        return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _own_paths() -> Object:
    """The gateway's own addresses."""
    said = {"type": "object"}
    return {
        "/healthz": _own("Whether the process lives.", {"200": _said("It does.", said)}),
        "/readyz": _own(
            "Whether it is ready to be asked: its store can be read, and no view stands still or lags too far.",
            {"200": _said("It is.", said), "503": _said("It is not; `reasons` says why.", said)},
        ),
        "/metrics": _own(
            "What is measured, in OpenMetrics.",
            {
                "200": {
                    "description": "The figures.",
                    "content": {"application/openmetrics-text": {"schema": {"type": "string"}}},
                }
            },
        ),
        "/openapi.json": _own("This description.", {"200": _said("It.", said)}),
    }


def _own(summary: str, responses: Object) -> Object:
    return {"get": {"tags": [GATEWAY], "summary": summary, "responses": responses | problems({405: READING[405]})}}


def _said(description: str, schema: Schema) -> Object:
    return {"description": description, "content": _json(schema)}


def _json(schema: Schema) -> Object:
    return {"application/json": {"schema": schema}}


def _name(message: Any) -> str:
    name: str = message.__declared__.name
    return name


def _words(message: Any, more: str) -> Object:
    """Summary and description from a docstring."""
    text = cleandoc(message.__doc__ or "")
    summary, _, rest = text.partition("\n")
    description = "\n\n".join(part for part in (rest.strip(), more) if part)
    return {"summary": summary or _name(message)} | ({"description": description} if description else {})


def _without_null(schema: Schema) -> Schema:
    """The schema of a parameter: an address cannot say null, it leaves the parameter out."""
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return rest | (options[0] if len(options) == 1 else {"anyOf": options})
