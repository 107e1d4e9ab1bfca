"""`diptych serve` as a process: it serves, it survives, and it stops in order."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from diptych.cli import main
from tests.cli.conftest import SHOP
from tests.cli.running import Diptych
from tests.cli.servers import Server, projectors_of, served, until
from tests.faults.tools import ROOT
from tests.http.asking import PLACE, order_body

COUNT = "/shop/queries/OrderCount"

SLOW = """
import asyncio
from diptych import BoundedContext, Query, Views
print("a context may print when it is imported")
class Wait(Query[str]):
    seconds: float
async def wait(query: Wait, views: Views) -> str:
    await asyncio.sleep(query.seconds)
    return "waited"
slow = BoundedContext("slow", queries=[wait])
"""


def ready(server: Server) -> bool:
    return server.client.get("/readyz").status_code == 200


def placed(server: Server, order_id: str = "1") -> str:
    """The token of an order that was accepted."""
    answer = server.client.post(PLACE, json=order_body(order_id))
    assert answer.status_code == 200, answer.text
    return answer.headers["diptych-token"]


def count(server: Server, token: str) -> int:
    answer = server.client.get(COUNT, headers={"diptych-after": token})
    assert answer.status_code == 200, answer.text
    found: int = answer.json()
    return found


def test_it_serves_on_a_store_of_its_own_and_a_query_has_what_its_token_says(folder: Path) -> None:
    with served(folder, SHOP) as server:
        assert server.said == {
            "context": "shop",
            "url": server.said["url"],
            "store": "sqlite:///shop.db",
            "role": "all",
            "pid": server.process.pid,
        }
        assert server.said["url"].startswith("http://127.0.0.1:")
        assert count(server, placed(server)) == 1
        assert ready(server)
        assert server.end(signal.SIGTERM) == 0
    assert (folder / "shop.db").exists()
    assert "Traceback" not in server.errors()


def test_projectors_that_die_are_started_again_and_readiness_tells(folder: Path) -> None:
    with served(folder, SHOP) as server:
        os.kill(projectors_of(server), signal.SIGKILL)
        until(lambda: not ready(server))
        reasons = server.client.get("/readyz").json()["reasons"]
        assert any("ended with exit code -9 and is started again" in reason for reason in reasons) or ready(server)
        until(lambda: ready(server))
        assert count(server, placed(server)) == 1
        assert server.end(signal.SIGTERM) == 0


def test_a_server_that_is_killed_leaves_no_projectors_behind(folder: Path) -> None:
    with served(folder, SHOP) as server:
        pid = projectors_of(server)
        server.process.kill()
        server.process.wait()
        until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_second_server_on_the_same_file_works_and_takes_over(folder: Path) -> None:
    with served(folder, SHOP) as first, served(folder, SHOP) as second:
        assert count(second, placed(first, "1")) == 1
        assert count(first, placed(second, "2")) == 2
        assert first.end(signal.SIGTERM) == 0
        assert count(second, placed(second, "3")) == 3
        assert second.end(signal.SIGTERM) == 0


@contextmanager
def waiting(server: Server, seconds: float) -> Iterator[list[httpx.Response]]:
    """A request that is at work, and its answer when it is over."""
    answers: list[httpx.Response] = []

    def ask() -> None:
        with suppress(httpx.HTTPError):
            answers.append(httpx.get(f"{server.said['url']}/slow/queries/Wait?seconds={seconds}", timeout=30))

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: "http_requests_in_flight 2.0" in server.client.get("/metrics").text)
    yield answers
    thread.join(15)
    assert not thread.is_alive()


def test_sigterm_lets_the_request_at_work_be_answered(folder: Path) -> None:
    (folder / "slow.py").write_text(SLOW)
    with served(folder, "slow:slow") as server:
        with waiting(server, 1) as answers:
            assert server.end(signal.SIGTERM) == 0
        assert [answer.json() for answer in answers] == ["waited"]


def test_ctrl_c_twice_does_not_wait(folder: Path) -> None:
    (folder / "slow.py").write_text(SLOW)
    with served(folder, "slow:slow") as server:
        began = time.monotonic()
        with waiting(server, 9) as answers:
            assert server.end(signal.SIGINT, signal.SIGINT) == 130
        assert time.monotonic() - began < 8
        assert answers == []
    assert "Traceback" not in server.errors()


def test_one_side_alone_serves_what_the_other_wrote(folder: Path) -> None:
    with (
        served(folder, SHOP, "--role", "command") as commands,
        served(folder, SHOP, "--role", "projector"),
        served(folder, SHOP, "--role", "query") as queries,
    ):
        assert count(queries, placed(commands)) == 1


def test_a_store_in_memory_is_served_by_one_process(folder: Path) -> None:
    with served(folder, SHOP, "--store", "memory://") as server:
        assert count(server, placed(server)) == 1
        assert server.end(signal.SIGTERM) == 0


def test_everything_may_be_said_in_the_file(folder: Path) -> None:
    (folder / "diptych.yaml").write_text(
        f"target: {SHOP}\nstore: sqlite:///said.db\nserver: {{role: query, log_level: error, max_header: 1KiB}}\n"
        "cqrs: {query_side: {projections: {OrderSummary: {batch: 1}}}}\n"
    )
    with served(folder) as server:
        assert (server.said["store"], server.said["role"]) == ("sqlite:///said.db", "query")
        assert server.client.post(PLACE, json=order_body("1")).status_code == 404
        assert server.client.get(COUNT, headers={"x": "y" * 1024}).status_code == 431
        with served(folder, "--role", "all") as other:
            assert count(other, placed(other)) == 1
        assert server.end(signal.SIGTERM) == 0
    assert server.errors() == ""


def test_what_a_store_is_opened_with_is_on_no_other_process_s_command_line(folder: Path) -> None:
    (folder / "diptych.yaml").write_text("store: sqlite:///hidden.db\n")
    with served(folder, SHOP) as server:
        line = Path(f"/proc/{projectors_of(server)}/cmdline").read_bytes()
    assert b"diptych.cli.projecting" in line
    assert b"hidden" not in line


def test_a_projection_that_is_tuned_and_not_there_is_said_and_nothing_is_served(
    diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src")]))
    (folder / "other.yaml").write_text("cqrs: {query_side: {projections: {OrderSumary: {batch: 1}}}}\n")
    ran = diptych("serve", SHOP, "--port", "0", "--config", "other.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "diptych: Context 'shop' has no projection 'OrderSumary'; did you mean 'OrderSummary'?\n"


def test_a_file_that_names_no_target_is_not_filled_up_from_another(diptych: Diptych, folder: Path) -> None:
    (folder / "diptych.yaml").write_text(f"target: {SHOP}\n")
    (folder / "other.yaml").write_text("server: {port: 0}\n")
    ran = diptych("serve", "--config", "other.yaml")
    assert ran.code == 2
    assert "which context?" in ran.err


def in_process(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a server in this process that is stopped as soon as it serves."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src")]))
    monkeypatch.setattr("diptych.cli.serve.announce", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    return main(["serve", *words, "--port", "0"])


def test_a_stop_right_after_the_start_is_a_stop_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_process(monkeypatch, SHOP) == 0
    assert (folder / "shop.views.db").exists()
    assert in_process(monkeypatch, SHOP, "--store", "memory://") == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "which context?"),
        (("nothing:here",), 2, "there is no module 'nothing'"),
        ((SHOP, "--role", "both"), 2, "--role: expected one of all, command, query, projector, found 'both'"),
        ((SHOP, "--host", "0.0.0.0"), 2, "0.0.0.0 can be reached from outside"),
        ((SHOP, "--port", "70000"), 2, "--port: expected a whole number from 0 to 65535, found '70000'"),
        ((SHOP, "--port", "0", "--store", "mysql://x"), 2, "There is no store for mysql://"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    diptych: Diptych, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ran = diptych("serve", *words)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_without_the_extra_it_says_what_is_missing(diptych: Diptych, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diptych.http", None)
    ran = diptych("serve", SHOP)
    assert (ran.code, ran.out) == (2, "")
    assert "diptych.http" in ran.err
    assert "Traceback" not in ran.err


def test_a_port_in_use_is_said_with_what_to_do(diptych: Diptych) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = diptych("serve", SHOP, "--port", str(taken.getsockname()[1]))
    assert ran.code == 2
    assert "is in use; choose another with --port, or 0 for any that is free" in ran.err


@pytest.mark.parametrize("role", ["all", "command"])
def test_a_store_that_cannot_be_opened_is_said_once_and_nothing_is_served(folder: Path, role: str) -> None:
    (folder / "shop.db").write_bytes(b"not a database, and long enough to be told from one" * 100)
    ran = subprocess.run(
        [sys.executable, "-m", "diptych", "serve", SHOP, "--port", "0", "--role", role],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        timeout=30,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (3, "")
    (line,) = ran.stderr.splitlines()
    assert "shop.db is not an SQLite database" in line
