"""The gateway on a socket: bodies that never end, many at a time, and how it stops."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import AsyncClient, Client

from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.asking import PLACE, check_problem, order_body
from tests.http.conftest import gateway_of
from tests.http.contexts import odd
from tests.http.serving import Serving, serving

HEAD = b"POST " + PLACE.encode() + b" HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"


@pytest.fixture
def server() -> Iterator[Serving]:
    gateway = gateway_of(shop, max_body=10_000, body_timeout=timedelta(milliseconds=300), max_concurrency=4)
    with serving(gateway) as server:
        yield server


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    connection.settimeout(5)
    parts = b""
    while part := connection.recv(65536):
        parts += part
    return parts


@pytest.mark.parametrize(
    "begun",
    [
        HEAD + b"Content-Length: 50\r\n\r\n",
        HEAD + b'Content-Length: 50\r\n\r\n{"order',
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["never begun", "never ended", "chunked"],
)
def test_a_body_that_never_ends_is_given_up(server: Serving, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(begun)
        told = answer(connection)

    assert told.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body-timeout"' in told


def test_a_body_that_drips_is_given_up_in_the_same_time(server: Serving) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        began = time.monotonic()
        try:
            while time.monotonic() < began + 3:
                connection.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() < began + 2


@pytest.mark.parametrize(
    "begun",
    [
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 20,
    ],
    ids=["by its length", "in chunks"],
)
def test_a_body_without_measure_is_refused(server: Serving, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(begun)
        told = answer(connection)

    assert told.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


def test_a_body_that_nobody_reads_holds_no_connection(server: Serving) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 5000\r\n\r\n{")
        told = answer(connection)  # until the server closes

    assert told.startswith(b"HTTP/1.1 404 ")


def test_a_client_that_goes_away_leaves_nothing_behind(server: Serving) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(HEAD + b"Content-Length: 50\r\n\r\n{")
    with Client(base_url=server.url) as client:
        until = time.monotonic() + 5
        while "http_requests_in_flight 1.0" not in client.get("/metrics").text:
            assert time.monotonic() < until
            time.sleep(0.02)


async def test_more_requests_than_the_bound_are_asked_to_come_again(server: Serving) -> None:
    async def slow_body() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"Content-Length: 50\r\n\r\n")
        told = await reader.read()
        writer.close()
        return told

    told = await asyncio.gather(*[slow_body() for _ in range(10)])

    assert sum(b" 503 " in one for one in told) == 6
    assert sum(b" 408 " in one for one in told) == 4
    assert all(b'"code":"overloaded"' in one and b"retry-after: 1" in one for one in told if b" 503 " in one)


async def test_one_connection_serves_many_requests(server: Serving) -> None:
    async with AsyncClient(base_url=server.url) as client:
        for number in range(50):
            assert (await client.post(PLACE, json=order_body(str(number)))).status_code == 200
        assert len((await client.get("/shop/queries/AllOrders", headers={"Prefer": "wait=2"})).json()) <= 50


async def test_commands_in_flight_are_answered_before_the_server_stops(sqlite_url: str) -> None:
    with serving(Gateway(shop, sqlite_url)) as server:
        async with AsyncClient(base_url=server.url) as client:
            asked = [asyncio.create_task(client.post(PLACE, json=order_body(str(number)))) for number in range(50)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            server.stop()
            responses = await asyncio.gather(*asked, return_exceptions=True)
        server.join()
    kept = [response for response in responses if not isinstance(response, BaseException)]
    assert kept
    assert {response.status_code for response in kept} == {200}
    async with shop.open(sqlite_url) as app:
        assert (await app.log.head()).position >= len(kept)


async def test_a_query_at_work_is_answered_before_the_server_stops() -> None:
    with serving(gateway_of(odd, query_timeout=timedelta(seconds=1))) as server:
        async with AsyncClient(base_url=server.url) as client:
            asked = asyncio.create_task(client.get("/odd ones/queries/Fail?how=slow"))
            await asyncio.sleep(0.2)
            server.stop()
            check_problem(await asked, 504, "timed-out")


def test_a_store_that_cannot_be_opened_stops_the_server(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("this is no database, and it is long enough to be told from one" * 100)
    server = Serving(Gateway(shop, f"sqlite:///{tmp_path}/shop.db"))
    server.start()
    server.join()

    assert not server.server.started


SCRIPT = """
import sys, uvicorn
from diptych.http import Gateway, configure_logging
from tests.app.shop import shop
configure_logging()
uvicorn.run(Gateway(shop, sys.argv[1]), host="127.0.0.1", port=0, log_config=None, access_log=False)
"""


def test_sigterm_stops_the_process_in_order(sqlite_url: str) -> None:
    ran = subprocess.Popen([sys.executable, "-c", SCRIPT, sqlite_url], stderr=subprocess.PIPE, text=True)
    assert ran.stderr is not None
    line = ""
    while "running on" not in line:
        line = ran.stderr.readline()
        assert line, "the server did not start"
    port = int(line.partition("127.0.0.1:")[2].partition(" ")[0])
    with Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.post(PLACE, json=order_body()).status_code == 200
    ran.send_signal(signal.SIGTERM)
    _, told = ran.communicate(timeout=10)

    assert ran.returncode in (0, -signal.SIGTERM)
    assert "Application shutdown complete" in told
    assert "Traceback" not in told
