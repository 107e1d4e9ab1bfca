"""The server that the gateway runs in by itself: uvicorn, on a socket that is bound first, with an orderly end.

A first SIGTERM or Ctrl-C lets every request that is at work be answered; a second one does not wait.
"""

import asyncio
import errno
import gc
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from diptych.http.gateway import Gateway
from diptych.http.protocol import BoundedConfig, ConnectionBounds
from diptych.http.settings import GatewaySettings, ServerSettings

BACKLOG = 2048
"""Connections that the system keeps while they wait to be accepted."""


SLACK = 2
"""Times the gateway's bound on a head: up to there the gateway itself says what is too large."""


YOUNG_OBJECTS = 20_000
"""New objects after which the garbage collector looks through them."""


class CannotListen(Exception):
    """The address cannot be served at; its words say why, and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on the loopback; port 0 is any free one.

    Raises CannotListen for a port that is taken or not permitted, and for a host that can be reached from outside: the
    gateway does not authenticate, and nobody is let in without.
    """
    address = _loopback(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        return socket.create_server((str(address), port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(f"port {port} of {host} {_reason(error)}") from None


def _loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        raise CannotListen(f"{host!r} is no address of this machine; say 127.0.0.1") from None
    if not address.is_loopback:
        raise CannotListen(
            f"{host} can be reached from outside, and this server does not authenticate; bind it to 127.0.0.1, "
            "behind a proxy that does"
        )
    return address


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "is in use; choose another with --port, or 0 for any that is free"
        case errno.EACCES:
            return "is not for this user; choose one from 1024 on"
        case _:
            return f"cannot be listened on: {error.strerror}"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are understood around the whole run, not around uvicorn's part of it."""
        yield


async def serve(
    gateway: Gateway, listening: socket.socket, bounds: GatewaySettings, settings: ServerSettings, stop: "Stop"
) -> None:
    """Serves on the socket until it is asked to stop. The gateway is open already."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are about what clients send
    config = BoundedConfig(
        gateway,
        ConnectionBounds(
            head_bytes=bounds.max_header * SLACK,
            head_seconds=settings.header_timeout.total_seconds(),
            connections=settings.max_connections,
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.keep_alive.total_seconds()),
        timeout_graceful_shutdown=int(settings.drain_timeout.total_seconds()),
    )
    server = _Server(config)
    stop.tell(server)
    await server.serve(sockets=[listening])
    if server.force_exit:
        await _cut_off(server.server_state)


async def _cut_off(state: ServerState) -> None:
    """Ends what is still at work, without an answer: whoever asked sees that the connection is gone."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # that it is cancelled is no error
    for connection in list(state.connections):
        connection.transport.abort()
    for task in state.tasks:
        task.cancel()
    if state.tasks:
        await asyncio.wait(state.tasks)


class Stop:
    """What signals ask for: once, an end in order; twice, an end."""

    def __init__(self) -> None:
        self.asked = 0
        self._server: uvicorn.Server | None = None
        self._starting: asyncio.Task[Any] | None = None

    def listen(self) -> None:
        """From now on signals are understood here. A start that is under way is given up at the first."""
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    def tell(self, server: uvicorn.Server) -> None:
        """From now on it is the server that is told."""
        self._server = server

    def ask(self) -> None:
        """A signal came."""
        self.asked += 1
        if self._server is None:
            if self._starting is not None:
                self._starting.cancel()
            return
        self._server.force_exit = self.asked > 1
        self._server.should_exit = True


def _collect_rarely() -> None:
    """Has the garbage collector look at what is new less often, and never at what is there from the start.

    A request at work is some dozens of small objects that end with it. With 64 of them at work, the collector's default
    makes it look through them for a tenth of the processor's time, and find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 50, 100)


def run(main: Callable[[Stop], Coroutine[Any, Any, None]]) -> bool:
    """Runs an async main that serves, in the fastest loop there is; false where it was stopped before its end."""
    stop = Stop()

    async def guarded() -> None:
        stop.listen()
        await main(stop)

    _collect_rarely()
    loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            runner.run(guarded())
        except asyncio.CancelledError:
            return False
    return stop.asked < 2
