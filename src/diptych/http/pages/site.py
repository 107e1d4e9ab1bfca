"""The gateway's other addresses, served by Starlette: seldom asked for, so they may cost a little."""

from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as Asked
from starlette.responses import HTMLResponse, JSONResponse
from starlette.responses import Response as Reply
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diptych.app import App
from diptych.errors import DiptychError, NotFound
from diptych.http.exchange import NOSNIFF, Request
from diptych.http.health import readiness
from diptych.http.metrics import Metrics
from diptych.http.problems import TITLES, problem
from diptych.http.refusals import InternalError, MethodNotAllowed
from diptych.http.settings import GatewaySettings
from diptych.messages.words import did_you_mean

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and nothing inline."""

ASSETS = {"try.js": "text/javascript; charset=utf-8", "try.css": "text/css; charset=utf-8"}


Describe = Callable[[str], bytes]
"""Gives the OpenAPI document, for the path that the gateway is mounted under."""


class Held(Protocol):
    """Who knows whether the context is open, and what is in the way of readiness beside it."""

    app: App | None
    obstacle: Callable[[], str | None]


def pages_of(gateway: Held, describe: Describe, settings: GatewaySettings, metrics: Metrics) -> ASGIApp:
    """An ASGI app for every address that is no command's and no query's."""
    site = _Site(gateway, describe, settings, metrics)
    routes = [
        Route("/openapi.json", site.description, methods=["GET"]),
        Route("/docs", site.docs, methods=["GET"]),
        Route("/docs/{asset}", site.asset, methods=["GET"]),
        Route("/problems/{kind}", site.problem, methods=["GET"]),
        Route("/healthz", site.alive, methods=["GET"]),
        Route("/readyz", site.ready, methods=["GET"]),
        Route("/metrics", site.figures, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _not_there, DiptychError: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False
    return _Nosniff(app)


class _Site:
    def __init__(self, gateway: Held, describe: Describe, settings: GatewaySettings, metrics: Metrics) -> None:
        self._gateway = gateway
        self._describe = describe
        self._settings = settings
        self._metrics = metrics
        self._described: dict[str, bytes] = {}

    async def description(self, asked: Asked) -> Reply:
        root = asked.scope.get("root_path", "")
        if root not in self._described:
            self._described = {root: self._describe(root)}
        return Reply(self._described[root], media_type="application/json", headers={"cache-control": "no-cache"})

    async def docs(self, asked: Asked) -> Reply:
        headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
        return HTMLResponse(_read("try.html"), headers=headers)

    async def asset(self, asked: Asked) -> Reply:
        name = asked.path_params["asset"]
        if name not in ASSETS:
            raise NotFound("The page for trying has no such part.")
        return Reply(_read(name), media_type=ASSETS[name], headers={"cache-control": "no-cache"})

    async def problem(self, asked: Asked) -> Reply:
        kind = asked.path_params["kind"]
        if kind not in TITLES:
            raise NotFound(f"There is no problem {kind!r}{did_you_mean(kind, TITLES)}")
        return JSONResponse({"code": kind, "title": TITLES[kind]}, headers={"content-security-policy": POLICY})

    async def alive(self, asked: Asked) -> Reply:
        return JSONResponse({"alive": True}, headers={"cache-control": "no-store"})

    async def ready(self, asked: Asked) -> Reply:
        ready, said = await readiness(self._gateway.app, self._settings.max_lag, self._gateway.obstacle())
        headers = {"cache-control": "no-store"} | ({} if ready else {"retry-after": "1"})
        return JSONResponse(said, 200 if ready else 503, headers=headers)

    async def figures(self, asked: Asked) -> Reply:
        app = self._gateway.app
        if app is not None:
            with suppress(DiptychError):  # what is known of the rest is shown all the same
                self._metrics.stand(await app.standings())
        kind, text = self._metrics.exposition()
        return Reply(text, headers={"content-type": kind, "cache-control": "no-store"})


class _Nosniff:
    """Adds the header that every response of the gateway has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], NOSNIFF]
            await send(message)

        await self._app(scope, receive, sending)


def _read(name: str) -> bytes:
    return files("diptych.http.pages").joinpath(name).read_bytes()


async def _not_there(asked: Asked, error: Exception) -> Reply:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "GET")
        return _reply(asked, MethodNotAllowed(asked.method, sorted(allow.split(", "))))
    return _reply(asked, NotFound("There is nothing at this address; /openapi.json tells what there is."))


async def _refused(asked: Asked, error: Exception) -> Reply:
    assert isinstance(error, DiptychError)  # noqa: S101 - registered for it
    return _reply(asked, error)


async def _failed(asked: Asked, error: Exception) -> Reply:
    return _reply(asked, InternalError())


def _reply(asked: Asked, error: DiptychError) -> Reply:
    found = problem(error, Request(asked.scope, asked.receive))
    headers = {name.decode(): value.decode() for name, value in found.headers}
    return Reply(found.body, found.status, headers)
