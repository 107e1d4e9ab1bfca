"""`diptych serve` as a process of its own, started in a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.tools import ROOT


class Server:
    """A server that runs, and what it has said of itself."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any], errors: Path) -> None:
        self.process = process
        self.said = said
        self._errors = errors
        self.client = httpx.Client(base_url=said["url"], timeout=10)

    def errors(self) -> str:
        return self._errors.read_text()

    def end(self, *signals: signal.Signals) -> int:
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.2)
        return self.process.wait(15)


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Server]:
    """A server on a free port, started in the folder."""
    errors = folder / "errors"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), str(folder)])
    with errors.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "diptych", "serve", *words, "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": paths},
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            assert line, errors.read_text()
            server = Server(process, json.loads(line), errors)
            with server.client:
                yield server
        finally:
            process.kill()
            process.wait()


def projectors_of(server: Server) -> int:
    """The process that runs the projectors."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children in /proc")
    (pid,) = children.read_text().split()
    return int(pid)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
