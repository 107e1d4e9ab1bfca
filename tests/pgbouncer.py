"""PgBouncer for the tests: in transaction mode, between the clients and one of the tests' servers.

It comes with no wheel, so that these tests run where somebody has installed it, and nowhere else; CI has none.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.postgres import Server


class Pooler(NamedTuple):
    """Where its program is, and its version."""

    program: str
    version: tuple[int, ...]


def pooler() -> Pooler | None:
    """The one that is on this machine."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    numbers = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    return None if numbers is None else Pooler(program, (int(numbers[1]), int(numbers[2])))


@contextmanager
def pooled(server: Server, found: Pooler, **settings: str) -> Iterator[str]:
    """Runs it before the server, and gives what stands in a store's URL here for the server's own place."""
    with tempfile.TemporaryDirectory(prefix="diptych-pool-") as name:
        folder = Path(name)
        lines = {
            "listen_port": "6432",
            "unix_socket_dir": name,
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": "4",
            "max_client_conn": "200",
            "pidfile": f"{name}/pid",
            "logfile": f"{name}/log",
            **settings,
        }
        (folder / "pool.ini").write_text(
            f"[databases]\npostgres = host={server.folder} user=postgres\n[pgbouncer]\n"
            + "".join(f"{key} = {value}\n" for key, value in lines.items())
        )
        user: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to be run by root
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with subprocess.Popen(
            [found.program, folder / "pool.ini"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user
        ) as process:
            try:
                deadline = time.monotonic() + 10
                while not (folder / ".s.PGSQL.6432").exists():
                    assert process.poll() is None, (folder / "log").read_text("utf-8")
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                yield f"host={quote(name)}&port=6432"
            finally:
                process.kill()
