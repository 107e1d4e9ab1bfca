"""Connections that never get to a request, or to too large a one, or that are too many."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from httpx import Client

from diptych.http import Gateway, GatewaySettings, ServerSettings
from diptych.http.server import CannotListen, Stop, listen, serve
from tests.app.shop import shop

GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\n"


@contextmanager
def served(**bounds: Any) -> Iterator[int]:
    """The port of a server within these bounds, in a thread."""
    settings = ServerSettings(port=0, **bounds)
    gateway = Gateway(shop, "memory://", settings=GatewaySettings(max_header=2000))
    stop = Stop()
    loop = asyncio.new_event_loop()
    with listen(settings.host, settings.port) as listening:
        port: int = listening.getsockname()[1]

        async def main() -> None:
            async with gateway.lifespan():
                await serve(gateway, listening, GatewaySettings(max_header=2000), settings, stop)

        thread = Thread(target=loop.run_until_complete, args=(main(),))
        thread.start()
        try:
            with Client(base_url=f"http://127.0.0.1:{port}") as client:
                assert client.get("/healthz").status_code == 200
            yield port
        finally:
            loop.call_soon_threadsafe(stop.ask)
            thread.join(10)
            loop.close()


def told(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    connection.settimeout(5)
    parts = b""
    while part := connection.recv(65536):
        parts += part
    return parts


@pytest.mark.parametrize("begun", [b"", b"GET /heal", GET], ids=["nothing", "half a line", "no end"])
def test_a_head_that_does_not_come_in_time_is_given_up(begun: bytes) -> None:
    with (
        served(header_timeout=timedelta(milliseconds=200)) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.sendall(begun)
        check_problem_in(told(connection), 408, "head-timeout")


def test_a_head_that_drips_is_given_up_in_the_same_time() -> None:
    with (
        served(header_timeout=timedelta(milliseconds=300)) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.sendall(GET)
        began = time.monotonic()
        try:
            while time.monotonic() < began + 3:
                connection.sendall(b"a")
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() < began + 2


def check_problem_in(answer: bytes, status: int, code: str) -> None:
    """Whether it is a whole response with this problem."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head
    assert b"content-length: %d" % len(body) in head
    said = json.loads(body)
    assert (said["status"], said["code"], said["type"]) == (status, code, f"/problems/{code}")


@pytest.mark.parametrize(
    "sent",
    [
        b"FOO /healthz HTTP/1.1\r\nHost: test\r\n\r\n",
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        GET + b"no colon here\r\n\r\n",
    ],
    ids=["an unknown method", "another protocol", "two lengths", "no header"],
)
def test_what_is_no_request_is_a_problem_like_any_other(sent: bytes) -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        check_problem_in(told(connection), 400, "malformed")


def test_the_second_request_of_a_connection_is_bounded_like_the_first() -> None:
    with (
        served(header_timeout=timedelta(milliseconds=300)) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.sendall(GET + b"\r\n" + GET)
        answers = told(connection)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answers


def test_a_head_without_measure_is_cut_off() -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(GET + b"x: " + b"y" * 5000)
        check_problem_in(told(connection), 431, "headers-too-large")


def test_a_head_that_is_a_little_too_large_gets_a_problem_that_says_so() -> None:
    with served() as port, Client(base_url=f"http://127.0.0.1:{port}") as client:
        refused = client.get("/shop/queries/OrderCount", headers={"x": "y" * 2500})
    assert refused.status_code == 431
    assert refused.json()["code"] == "headers-too-large"


def test_more_connections_than_the_bound_are_turned_away_and_others_are_served() -> None:
    with served(max_connections=3) as port:
        kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        for connection in kept:
            connection.sendall(GET + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", port)) as one_more:
            check_problem_in(told(one_more), 503, "overloaded")
        kept[0].sendall(GET + b"\r\n")
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("0.0.0.0", "does not authenticate"),
        ("192.0.2.1", "does not authenticate"),
        ("::", "does not authenticate"),
        ("example.org", "is no address"),
        ("", "is no address"),
    ],
)
def test_only_the_loopback_is_listened_on(host: str, words: str) -> None:
    with pytest.raises(CannotListen, match=words):
        listen(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.5"])
def test_the_loopback_has_several_names(host: str) -> None:
    listen(host, 0).close()


def test_a_port_that_is_in_use_is_named_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(CannotListen, match=r"in use; choose another with --port"):
        listen("127.0.0.1", first.getsockname()[1])
