"""The gateway: a bounded context as an ASGI app. Bounds first, then the hot routes, then everything else by Starlette.

It runs by itself under any ASGI server, which then speaks the lifespan protocol with it, or mounted in another app,
whose lifespan then holds the gateway's.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from time import perf_counter

from diptych.app import App, BoundedContext
from diptych.app.context import UNSET
from diptych.errors import DiptychError
from diptych.http.exchange import Message, Receive, Request, Response, Scope, Send, respond
from diptych.http.logs import Access, access, log_access
from diptych.http.metrics import Metrics
from diptych.http.openapi import describe
from diptych.http.pages import pages_of
from diptych.http.problems import detail_of, problem
from diptych.http.refusals import (
    AddressTooLong,
    Disconnected,
    HeadersTooLarge,
    InternalError,
    NotOpen,
    Overloaded,
)
from diptych.http.role import Role
from diptych.http.routes import Route, Routes
from diptych.http.settings import GatewaySettings
from diptych.read import LEASE, ProjectionSettings

log = logging.getLogger(__name__)

DEFAULTS = GatewaySettings()

Obstacle = Callable[[], str | None]
"""Tells why the gateway is not ready, where something beside it is not, or None."""

CLIENT_GONE = 499
"""What the access log says where a client went away before its request was whole."""


class Gateway:
    """A context on a store, over HTTP.

    `projectors` says whether its projections run beside it, in a thread; `projections` tunes them, `lease` is theirs,
    and `snapshots` says where these are kept, as in `BoundedContext.open`.

    `role` leaves out what another server does. `obstacle` is asked whether anything beside the gateway is in the way of
    its readiness.

    Opening it, by either lifespan, raises what `BoundedContext.open` raises. It may be opened again when it is closed.
    """

    def __init__(  # noqa: PLR0913 - what a gateway is made of
        self,
        context: BoundedContext,
        store_url: str,
        *,
        settings: GatewaySettings = DEFAULTS,
        projectors: bool = True,
        projections: Mapping[str, ProjectionSettings] = UNSET,
        lease: timedelta = LEASE,
        snapshots: str | None = None,
        role: Role = Role.ALL,
        obstacle: Obstacle = lambda: None,
    ) -> None:
        self._context = context
        self._store_url = store_url
        self._settings = settings
        self._projectors = projectors
        self._projections = projections
        self._lease = lease
        self._snapshots = snapshots
        self._metrics = Metrics()
        self._routes = Routes(context, settings, self._metrics, role)
        self._pages = pages_of(self, describe(context, role), settings, self._metrics)
        self.obstacle = obstacle
        self._at_work = 0
        self._metrics.requests.set_function(lambda: self._at_work)
        self.app: App | None = None

    @asynccontextmanager
    async def lifespan(self, host: object = None) -> AsyncGenerator[None]:
        """Holds the context open: `Starlette(lifespan=gateway.lifespan)`, or inside the host's own lifespan."""
        async with self._context.open(
            self._store_url,
            projectors=self._projectors,
            projections=self._projections,
            lease=self._lease,
            snapshots=self._snapshots,
            observer=self._metrics,
        ) as app:
            self.app = app
            try:
                yield
            finally:
                self.app = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case _:  # a websocket: there are none here
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol: from startup to shutdown."""
        await receive()
        started = False
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                started = True
                await receive()
        except Exception as error:
            phase = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        request = Request(scope, receive)
        self._at_work += 1
        name = "-"
        status = CLIENT_GONE
        try:
            try:
                route = self._routes.find(request)
                if route is None:
                    name, status = "(page)", await self._turn_to_page(scope, receive, send)
                    return
                name = route.name
                response = await self._answer(route, request)
            except DiptychError as error:
                if detail_of(error) != error.detail:  # what a client is not told
                    log.warning("%s %s: %s", request.method, name, error)
                response = problem(error, request)
            status = response.status
            await respond(send, response, request.method)
        except Disconnected:
            pass
        finally:
            self._at_work -= 1
            if access.isEnabledFor(logging.INFO):
                milliseconds = (perf_counter() - began) * 1000
                log_access(Access(request.method, name, status, milliseconds, request.command_id))

    async def _turn_to_page(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Serves what is no command and no query; gives the status that was sent."""
        status = CLIENT_GONE

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self._pages(scope, receive, sending)
        return status

    async def _answer(self, route: Route, request: Request) -> Response:
        """Within the bounds, the route's answer; what goes wrong in it that nobody foresaw is an InternalError."""
        app = self._admit(request)
        try:
            return await route.methods[request.method](app, request)
        except (DiptychError, Disconnected):
            raise
        except Exception:  # a user's own code failed: logged in full here, and not shown outside
            log.exception("%s %s failed", request.method, route.name)
            raise InternalError from None

    def _admit(self, request: Request) -> App:
        settings = self._settings
        if self._at_work > settings.max_concurrency:
            raise Overloaded(f"{settings.max_concurrency} requests are at work; try again in a moment.")
        if request.size() > settings.max_header:
            raise self._too_large(request)
        if self.app is None:
            raise NotOpen("The gateway is starting or stopping; try again in a moment.")
        return self.app

    def _too_large(self, request: Request) -> DiptychError:
        most = self._settings.max_header
        if len(request.parameters) + len(request.path) > most:
            return AddressTooLong(f"An address has at most {most:,} bytes here; send a long query by POST.")
        return HeadersTooLarge(f"Address and headers have at most {most:,} bytes here.")
