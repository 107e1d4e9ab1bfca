"""A shell to type into, with the tools that a document counts on; the server in it is on a free port."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import pytest

END = "--- end of output ---"

TOOLS = """
diptych() { "$PYTHON" -m diptych "$@"; }
sqlite3() { "$PYTHON" -c "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])" "$@"; }
systemctl() { quit; [ "$1" != start ] || serve; }
curl() { command curl "${@//127.0.0.1:8000/127.0.0.1:$PORT}"; }
make() {
    case "$1" in
        test) "$PYTHON" -m pytest -q -p no:cacheprovider -p no:asyncio ;;
        serve) quit; serve ;;
    esac
}
serve() {
    "$PYTHON" -m diptych serve bakery:bakery --port "$PORT" </dev/null >server.log 2>&1 &
    SERVING=$!
    until command curl -sf "http://127.0.0.1:$PORT/healthz" -o /dev/null; do
        kill -0 "$SERVING" 2>/dev/null || { cat server.log; break; }
        sleep 0.05
    done
}
quit() { [ -z "$SERVING" ] || { kill "$SERVING"; wait "$SERVING"; }; SERVING=; } 2>/dev/null
trap quit EXIT
"""
"""They do what the real ones do for the project, with what this environment has: nothing is installed anywhere."""


class Printed(NamedTuple):
    """What a command printed, errors included, and its exit code."""

    text: str
    code: int


class Terminal:
    """One shell, which keeps its folder and its variables from command to command."""

    def __init__(self, shell: subprocess.Popen[str], folder: Path) -> None:
        self._typed: IO[str] = shell.stdin or sys.stdin
        self._printed: IO[str] = shell.stdout or sys.stdout
        self.folder = folder

    def run(self, command: str) -> Printed:
        self._typed.write(f"{command}\nCODE=$?; echo; echo '{END}'; echo $CODE; pwd\n")
        self._typed.flush()
        lines: list[str] = []
        for line in self._printed:
            if line == f"{END}\n":
                break
            lines.append(line)
        code = int(self._printed.readline())
        self.folder = Path(self._printed.readline().strip())
        return Printed("".join(lines), code)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """A shell in the folder. What it started has ended when the context ends."""
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("this needs bash and curl")
    foreign = ("PYTEST", "COV", "DIPTYCH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"PYTHON": sys.executable, "PORT": str(free_port())}
    shell = subprocess.Popen(
        [bash, "--noprofile", "--norc"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with shell:
        typing = Terminal(shell, folder)
        typing.run(TOOLS)
        try:
            yield typing
        finally:
            typing.run("quit")
