"""Which address is whose. A table, read once per request; what is not in it is named with its nearest neighbour."""

from collections.abc import Mapping
from typing import NamedTuple

from diptych.app import BoundedContext
from diptych.errors import NotFound
from diptych.http.commands import CommandAddress, StatusAddress
from diptych.http.exchange import Handle, Request
from diptych.http.metrics import Metrics
from diptych.http.queries import QueryAddress
from diptych.http.refusals import MethodNotAllowed
from diptych.http.role import Role
from diptych.http.settings import GatewaySettings
from diptych.messages.words import did_you_mean


class Route(NamedTuple):
    """A kind of address, as logs name it, and what answers it by method."""

    name: str
    methods: Mapping[str, Handle]


class Routes:
    """The addresses of a context's commands and queries, as far as the server's role has them."""

    def __init__(self, context: BoundedContext, settings: GatewaySettings, metrics: Metrics, role: Role) -> None:
        self._context = context.name
        self._role = role
        aggregates, queries = role.aggregates_of(context), role.queries_of(context)
        self._commands = sorted(command.__declared__.name for rules in aggregates for command in rules.deciders)
        self._queries = sorted(handler.query.__declared__.name for handler in queries)
        self._statuses = f"/{context.name}/commands/"
        self._asked = f"/{context.name}/queries/"
        status = StatusAddress(self._statuses)
        self._status = Route(f"{self._statuses}{{command_id}}", {"GET": status.get, "HEAD": status.get})
        self._table: dict[str, Route] = {}
        for name in self._commands:
            address = CommandAddress(context.name, name, settings, metrics)
            self._add(self._statuses + name, {"POST": address.post})
        for handler in queries:
            query = QueryAddress(handler, settings, metrics)
            path = self._asked + handler.query.__declared__.name
            self._add(path, query.methods)

    def find(self, request: Request) -> Route | None:
        """The route of a request, or None for an address outside the context.

        Raises NotFound, naming the nearest command, query or context; MethodNotAllowed.
        """
        route = self._table.get(request.path)
        if route is not None and request.method in route.methods:
            return route
        if request.path.startswith(self._statuses):
            self._check_role("takes no commands", plays=self._role.commands)
            return self._status_or_command(request, route)
        if route is not None:
            raise MethodNotAllowed(request.method, route.methods)
        if request.path.startswith(self._asked):
            self._check_role("answers no queries", plays=self._role.queries)
            name = request.path.removeprefix(self._asked)
            raise NotFound(f"There is no query {name!r}{did_you_mean(name, self._queries)}")
        self._check_context(request.path)
        return None

    def _check_role(self, lacks: str, *, plays: bool) -> None:
        if not plays:
            raise NotFound(f"This server has the role {self._role} and {lacks}.")

    def _add(self, path: str, methods: Mapping[str, Handle]) -> None:
        self._table[path] = Route(path, methods)

    def _status_or_command(self, request: Request, route: Route | None) -> Route:
        """Below `commands/` stand the commands, for POST, and the ids of commands, for GET."""
        if route is not None:
            raise MethodNotAllowed(request.method, route.methods)
        if request.method in self._status.methods:
            return self._status
        if request.method != "POST":
            raise MethodNotAllowed(request.method, self._status.methods)
        name = request.path.removeprefix(self._statuses)
        raise NotFound(f"There is no command {name!r}{did_you_mean(name, self._commands)}")

    def _check_context(self, path: str) -> None:
        _, context, kind, *_ = [*path.split("/", 3), "", ""]
        if kind in ("commands", "queries") and context != self._context:
            raise NotFound(f"There is no context {context!r}{did_you_mean(context, [self._context])}")
