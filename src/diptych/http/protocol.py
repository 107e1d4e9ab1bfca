"""The server's side of a connection: uvicorn's, with bounds on what comes before the gateway sees a request.

From the head of a request on, the gateway keeps the bounds itself.
"""

import asyncio
from typing import Any, NamedTuple, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


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
            self._refuse(b"503 Service Unavailable")
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
            self._refuse(b"431 Request Header Fields Too Large")
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
        self._head_timer = self.loop.call_later(self._bounds.head_seconds, self._refuse, b"408 Request Timeout")

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: bytes) -> None:
        self._disarm()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()
