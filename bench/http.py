"""The gateway over HTTP: one server process, 64 connections that are kept, requests by wrk.

Measured: requests per second that were answered with 200. Command: each places a new order, durable, with one event of
230 bytes; the projectors are elsewhere. Query: each looks up one of ORDERS rows by its key. Limit: the same server's
hello, to the same requests. The server is that of `diptych serve`. Peer: FastAPI and SQLAlchemy, one transaction per
request, the same table work. Needs wrk; without it there is nothing here. Targets: docs/performance.md.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from bench.engine import file_url
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, best
from bench.shop import SHOP, place_order

CONNECTIONS = 64
ORDERS = 4096
COMMAND, QUERY = "/shop/commands/PlaceOrder", "/shop/queries/SummaryOf"
HELLO, PEER = "hello", "FastAPI + SQLAlchemy"

HERE = Path(__file__).parent


def prepare_commands(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Orders placed."""
    send = partial(measured, script="http_orders.lua", settings=settings)
    ours = Contender(DIPTYCH, partial(send, "bench.http_apps:writing", COMMAND))
    hello = Contender(HELLO, partial(send, "bench.http_apps:hello", COMMAND))
    peers = [
        Contender(f"{PEER}, {way}", partial(send, "bench.peer_fastapi:app", f"/{way}"))
        for way in ("threaded", "inline")
    ]
    peer = best(peers, settings)
    title = "command over HTTP, 64 connections"
    goals = [
        Goal(title, "requests/s", against=HELLO, reach=0.35),
        Goal(title, "requests/s", against=peer.name, reach=5),
    ]
    return [ours, hello, peer], goals


def prepare_queries(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Orders looked up."""
    send = partial(measured, script="http_lookups.lua", settings=settings)

    def ours(folder: Path) -> dict[str, float]:
        asyncio.run(_fill(folder))
        return send("bench.http_apps:reading", QUERY, folder)

    hello = Contender(HELLO, partial(send, "bench.http_apps:hello", QUERY))
    goal = Goal("query by key over HTTP, 64 connections", "requests/s", against=HELLO, reach=0.5)
    return [Contender(DIPTYCH, ours), hello], [goal]


def measured(app: str, path: str, folder: Path, *, script: str, settings: Settings) -> dict[str, float]:
    """Serves the app and lets wrk ask it: once to warm up, once to count."""
    with served(app, folder) as address:
        wrk(address + path, script, 0.5)
        return {RATE: wrk(address + path, script, max(1.0, 2.5 * settings.seconds))}


def wrk(address: str, script: str, seconds: float) -> float:
    """Requests per second. Fails if any was answered with anything but 200."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(HERE / script), address]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout  # noqa: S603 - by list
    assert "Non-2xx" not in told, told
    found = re.search(r"Requests/sec:\s*([\d.]+)", told)
    assert found is not None, told
    return float(found[1])


@contextmanager
def served(app: str, folder: Path) -> Iterator[str]:
    """A server process, ready to be asked."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "bench.http_server", app, str(port)]
    around = os.environ | {"BENCH_STORE": file_url(folder / "shop.db"), "BENCH_FOLDER": str(folder)}
    server = subprocess.Popen(words, env=around)  # noqa: S603 - by list
    try:
        _await(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert server.poll() is None and time.monotonic() < until, "the server did not start"  # noqa: PT018
            time.sleep(0.02)


async def _fill(folder: Path) -> None:
    """Orders in the log and in the view."""
    async with SHOP.open(file_url(folder / "shop.db")) as app:
        placing = [app.execute(place_order(f"o{number:06}")) for number in range(ORDERS)]
        receipts = await asyncio.gather(*placing)
        newest = max((receipt.token for receipt in receipts), key=lambda token: token.position)
        await app.caught_up(newest, timeout=timedelta(seconds=30))


BENCHES = (
    (
        Bench("http-command", "commands over HTTP", prepare_commands),
        Bench("http-query", "queries by key over HTTP", prepare_queries),
    )
    if shutil.which("wrk")
    else ()
)
