"""The server's side of a connection: uvicorn's, with bounds on what comes before the gateway sees a request.

From the head of a request on, the gateway keeps the bounds itself. What is refused here is a problem like any other.
"""

import asyncio
from typing import Any, NamedTuple, cast

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from diptych.http.problems import TITLES


class Refusal(NamedTuple):
    """Why a connection is ended before the gateway has seen a request."""

    code: str
    status: int
    phrase: str
    detail: str

    def response(self) -> bytes:
        """The whole response, after which nothing follows."""
        problem = {
            "type": f"/problems/{self.code}",
            "title": TITLES[self.code],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        body = msgspec.json.encode(problem)
        lines = [
            f"HTTP/1.1 {self.status} {self.phrase}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            *(["retry-after: 1"] if self.status == 503 else []),
            "connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


NO_REQUEST = Refusal("malformed", 400, "Bad Request", "This is no HTTP/1.1 request.")
TOO_SLOW = Refusal("head-timeout", 408, "Request Timeout", "The head of the request did not come in time.")
TOO_LARGE = Refusal(
    "headers-too-large", 431, "Request Header Fields Too Large", "The head of the request is too large."
)
TOO_MANY = Refusal("overloaded", 503, "Service Unavailable", "Too many connections are open; try again in a moment.")


class ConnectionBounds(NamedTuple):
    """Bytes and seconds that the head of a request may take, and connections at a time."""

    head_bytes: int
    head_seconds: float
    connections: int


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration, with the bounds on connections."""

    def __init__(self, app: Any, bounds: ConnectionBounds, **options: Any) -> None:
        super().__init__(app, http=BoundedProtocol, **options)
        self.bounds = bounds


class BoundedProtocol(HttpToolsProtocol):
    """Bounds the time and the size of a request's head, and the number of connections."""

    def __init__(self, config: BoundedConfig, **options: Any) -> None:
        super().__init__(config, **options)
        self._bounds = config.bounds
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self._bounds.connections:
            self._refuse(TOO_MANY)
        else:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_size += len(data)
        if self._head_size > self._bounds.head_bytes:
            self._refuse(TOO_LARGE)
        elif self._head_timer is None:
            self._arm()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self._bounds.head_seconds, self._refuse, TOO_SLOW)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where its parser finds no request; the parser's own words are not for clients."""
        self._refuse(NO_REQUEST)

    def _refuse(self, refusal: Refusal) -> None:
        self._disarm()
        if not self.transport.is_closing():
            self.transport.write(refusal.response())
            self.transport.close()
