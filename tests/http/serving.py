"""A gateway on a real socket: uvicorn in a thread of this process, on a free port of the loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn

from diptych.http import Gateway


class Serving:
    """A server that runs. `stop` asks it to, as SIGTERM does; `join` waits until it has."""

    def __init__(self, gateway: Gateway) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(gateway, log_config=None, access_log=False, timeout_graceful_shutdown=10)
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        while not self.server.started and self._thread.is_alive():
            self._thread.join(0.005)

    def stop(self) -> None:
        self.server.should_exit = True

    def join(self, seconds: float = 15) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with self._listening, suppress(SystemExit):  # uvicorn's word for a start that failed
            self.server.run(sockets=[self._listening])


@contextmanager
def serving(gateway: Gateway) -> Iterator[Serving]:
    server = Serving(gateway)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.join()
