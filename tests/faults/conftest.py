"""Faults are made to happen: held locks, killed and stopped processes, full disks, lost bytes."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import RELEASES, new_store, programs_of
from tests.faults.tools import url_of
from tests.postgres import Server, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


NEWEST = max(RELEASES, key=int, default="")
EACH = [pytest.param(each, marks=[] if each == NEWEST else pytest.mark.soak) for each in RELEASES] or [
    pytest.param(NEWEST)
]
"""What takes longer is tried with the newest release, and in a soak with the others."""


@pytest.fixture(params=EACH)
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for one test alone: it may be killed."""
    with running(programs_of(request.param)) as server:
        yield server


class Place(NamedTuple):
    """The URL of a store, and its server, if it has one."""

    url: str
    server: Server | None


@pytest.fixture(params=["sqlite", *EACH])
def place(request: pytest.FixtureRequest, path: Path) -> Iterator[Place]:
    """A new store for one test alone: its server may be killed."""
    if request.param == "sqlite":
        yield Place(url_of(path), None)
        return
    with running(programs_of(request.param)) as server:
        yield Place(new_store(server), server)


Preloaded = Callable[[str, Path], Path]
"""Compiles a C file of these tests into a library in a folder, for processes that are started with LD_PRELOAD."""


@pytest.fixture
def preloaded() -> Preloaded:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here")

    def compiled(name: str, folder: Path) -> Path:
        source = Path(__file__).with_name(name)
        library = folder / source.with_suffix(".so").name
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        library.chmod(0o755)
        return library

    return compiled


@pytest.fixture(params=["sqlite", *EACH])
def url(request: pytest.FixtureRequest, path: Path, servers: Callable[[Path], Server]) -> str:
    """The URL of a new store, in a file and on PostgreSQL."""
    return url_of(path) if request.param == "sqlite" else new_store(servers(programs_of(request.param)))
