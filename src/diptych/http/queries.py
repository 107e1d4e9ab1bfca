"""Queries over HTTP: by GET with the fields in the address, or by POST with a JSON body, which always works."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from diptych.app import App
from diptych.errors import Malformed
from diptych.http import grammar
from diptych.http.exchange import JSON, Handle, Headers, Request, Response, encode
from diptych.http.metrics import Metrics
from diptych.http.parameters import Parameters
from diptych.http.preferences import NONE, read_preferences
from diptych.http.refusals import BadHeader
from diptych.http.settings import GatewaySettings
from diptych.log import Token
from diptych.read import Answer, QueryHandler

NOT_MODIFIED = 304
CACHE_CONTROL = (b"cache-control", b"no-cache")
VARY = (b"vary", b"Diptych-After, Prefer")
STALE = (b"diptych-stale", b"true")
NO_LAG = (b"diptych-lag", b"0")


class QueryAddress:
    """`/{context}/queries/{Query}`."""

    def __init__(self, handler: QueryHandler, settings: GatewaySettings, metrics: Metrics) -> None:
        self._shape = handler.shape
        self._parameters = Parameters(handler.shape)
        self._settings = settings
        self._seconds = metrics.of_query(handler.query.__declared__.name)

    @property
    def methods(self) -> Mapping[str, Handle]:
        """What the address takes: GET only where the fields that must be there can stand in it."""
        by_body: dict[str, Handle] = {"POST": self.post}
        return {"GET": self.get, "HEAD": self.get} | by_body if self._parameters.enough else by_body

    async def get(self, app: App, request: Request) -> Response:
        """Answers the query in the address, unless the client has this answer. Raises what `App.answer` raises."""
        response = await self._answer(app, request, self._parameters.read(request.parameters))
        known = request.headers.get(b"if-none-match")
        if known is not None and grammar.matches(known, response.headers[0][1]):
            return Response(NOT_MODIFIED, [line for line in response.headers if line is not JSON], b"")
        return response

    async def post(self, app: App, request: Request) -> Response:
        """Answers the query in the body. Raises what `App.answer` raises, and the gateway's own refusals."""
        if request.parameters:
            raise Malformed("A query by POST has its fields in the body, none in the address")
        body = await request.json(self._settings.max_body, app.deadlines, self._settings.body_timeout)
        return await self._answer(app, request, self._shape.decode(body))

    async def _answer(self, app: App, request: Request, query: Any) -> Response:
        began = time.perf_counter()
        settings = self._settings
        after = read_token(request)
        preferences = NONE
        if b"prefer" in request.headers:
            preferences = read_preferences(request.all(b"prefer"), settings.max_wait)
        try:
            answer = await app.answer(
                query,
                after=after,
                timeout=settings.query_timeout,
                wait=settings.wait if preferences.wait is None else preferences.wait,
                lenient=preferences.lenient,
                checked=True,
            )
        finally:
            self._seconds.observe(time.perf_counter() - began)
        await asyncio.sleep(0)  # answers of one turn go out together: the first wakes the client, and that is dear
        body = encode(answer.value)
        headers = _circumstances(answer, body)
        if preferences.applied:
            headers.append((b"preference-applied", preferences.applied))
        return Response(200, headers, body)


def read_token(request: Request) -> Token | None:
    """The token in Diptych-After. Raises BadHeader."""
    value = request.single(b"diptych-after")
    if value is None:
        return None
    try:
        return Token(value.decode("latin-1").strip())
    except Malformed:
        raise BadHeader("Diptych-After", "the Diptych-Token of a response, unchanged") from None


def entity_tag(body: bytes) -> bytes:
    """The strong entity tag of an answer."""
    return b'"%s"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()


def _circumstances(answer: Answer[Any], body: bytes) -> Headers:
    """The headers of an answer, the entity tag first."""
    headers = [
        (b"etag", entity_tag(body)),
        JSON,
        CACHE_CONTROL,
        VARY,
        (b"diptych-position", b"%d" % answer.position),
        NO_LAG if not answer.lag.events else (b"diptych-lag", _seconds(answer.lag.time)),
    ]
    if answer.stale:
        headers.append(STALE)
    if answer.parked:
        headers.append((b"diptych-parked", b"%d" % answer.parked))
    return headers


def _seconds(time: timedelta) -> bytes:
    return b"%.6f" % time.total_seconds()
