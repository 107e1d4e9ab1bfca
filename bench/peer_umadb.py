"""The peer UmaDB: a server written in Rust with a file of its own, spoken to over gRPC by its Python client.

Fairness. Its server is a process of its own on the same machine and disk, with its defaults, which sync every commit. A
client is synchronous, so clients are threads, each with a connection of its own; a bench takes the number that is asked
for. An append has one event with one tag, on condition that no event has that tag: what Diptych's condition on a new
stream says. It keeps no ledger of commands.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

from umadb import AppendCondition, Client, Event, Query, QueryItem, TransportError

from bench.harness import RATE, Contender, rate_of_threads
from bench.workload import EVENT, EVENT_TYPE, stream_of

NAME = "UmaDB"

SERVER = "from umadb.umadb_server_cli import main; main()"


@contextmanager
def served(folder: Path) -> Generator[str]:
    """A server on a free port, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-c", SERVER, "--listen", f"127.0.0.1:{port}", "--db-path", str(folder / "uma.db")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:  # noqa: S603 - this Python, by list
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url)
            yield url
        finally:
            server.kill()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with closing(Client(url)) as client:
                client.head()
        except TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def appends(clients: int, seconds: float) -> Contender:
    """Appends per second of one event each, each for a new tag, by so many clients."""

    def measure(folder: Path) -> dict[str, float]:
        with served(folder) as url, ExitStack() as stack:
            connections = [stack.enter_context(closing(Client(url))) for _ in range(clients)]
            numbers = count(1)

            def work(client: int) -> None:
                tag = stream_of(next(numbers))
                condition = AppendCondition(Query([QueryItem(tags=[tag])]))
                connections[client].append([Event(EVENT_TYPE, EVENT, tags=[tag])], condition)

            return {RATE: rate_of_threads(clients, seconds, work)}

    return Contender(NAME, measure)


def bulk(events: int, seconds: float) -> Contender:
    """Events per second of appends of so many events each, by one client."""

    def measure(folder: Path) -> dict[str, float]:
        with served(folder) as url, closing(Client(url)) as client:
            numbers = count(1)

            def work(_: int) -> None:
                client.append([Event(EVENT_TYPE, EVENT, tags=[stream_of(next(numbers))]) for _ in range(events)])

            return {RATE: events * rate_of_threads(1, seconds, work)}

    return Contender(f"{NAME}, {events} a call", measure)
