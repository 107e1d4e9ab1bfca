"""Processes of Diptych's own that a bench starts by its command line, and how much memory they hold, on Linux."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TARGET = "bench.shop:SHOP"
LOOK_SECONDS = 0.02


@contextmanager
def serving(*words: str) -> Generator[int]:
    """`diptych serve` with these options, ready; gives its process's number. It ends with the context."""
    server = _started("serve", TARGET, "--port", "0", "--json", *words)
    assert server.stdout is not None
    try:
        assert server.stdout.readline(), "the server has not started"
        yield server.pid
    finally:
        server.terminate()
        server.communicate(timeout=20)


def finished(*words: str) -> tuple[bytes, float]:
    """What a command prints, and the most MiB that one of its processes has held at any time."""
    command = _started(*words)
    peaks: dict[int, float] = {}
    while command.poll() is None:
        for process in family(command.pid):
            peaks[process] = max(memory(process, "VmHWM"), peaks.get(process, 0))
        time.sleep(LOOK_SECONDS)
    printed = command.communicate()[0]
    assert command.returncode == 0, printed
    return printed, max(peaks.values())


def family(process: int) -> Iterator[int]:
    """The number of a process, and of all that it has started."""
    yield process
    with suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text("ascii").split():
                yield from family(int(child))


def memory(process: int, what: str) -> float:
    """MiB: `VmRSS` of what a process holds, `VmHWM` of what it has held at most; 0 for one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text("utf-8").splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
    return 0


def _started(*words: str) -> subprocess.Popen[bytes]:
    around = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "diptych", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=around)  # noqa: S603 - by list
