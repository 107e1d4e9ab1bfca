"""The demo's shop when it is loaded: served, and tried with the lines that are printed."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_server

import pytest

from diptych.cli import main
from diptych.cli.demo import free_port
from diptych.http import ServerSettings

LAST = "Ctrl-C stops it.\n"


@contextmanager
def demo(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A demo that serves, and everything that it has printed on stdout by then."""
    command = [sys.executable, "-m", "diptych", "demo", "--store", f"sqlite:///{folder / 'shop.db'}", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            printed = ""
            while not printed.endswith(LAST):
                line = process.stdout.readline()
                assert line, "the demo ended"
                printed += line
            yield process, printed
        finally:
            process.kill()


def test_the_lines_to_try_work_as_printed(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    with demo(tmp_path, "--port", "0") as (process, printed):
        assert "Reconciled" in printed
        lines = re.findall(r"^  ((?:token=|curl ).*)$", printed, re.MULTILINE)
        script = "\n".join([*lines, 'echo; echo "$token"'])
        told = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    best, order = re.findall(r"\[.*?\]|\{\"order_id.*\}", told)
    assert best.count('"customer_id"') == 3
    assert '"order_id":"1000001"' in order
    assert re.search(r"^[0-9a-f]{16}\.294$", told, re.MULTILINE)


def test_a_usual_port_that_is_in_use_is_passed_over() -> None:
    with suppress(OSError), create_server(("127.0.0.1", ServerSettings().port)):  # or somebody else has it
        assert free_port() == 0


def test_a_port_that_was_asked_for_is_not_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["demo", "--store", f"sqlite:///{tmp_path / 'shop.db'}", "--port", port]) == 2
    assert "is in use" in capsys.readouterr().err


def test_without_the_extra_the_report_is_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "diptych.http", None)
    assert main(["demo", "--store", f"sqlite:///{tmp_path / 'shop.db'}"]) == 0
    assert "Not served: " in capsys.readouterr().err
