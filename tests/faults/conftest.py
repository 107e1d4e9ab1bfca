"""Faults are made to happen: held locks, killed and stopped processes, full disks, lost bytes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RELEASES, new_store, programs_of
from tests.faults.tools import url_of
from tests.postgres import Server, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture(params=list(RELEASES) or [""])
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each release that is on this machine, for one test alone: it may be killed."""
    with running(programs_of(request.param)) as server:
        yield server


@pytest.fixture(params=["sqlite", *RELEASES])
def url(request: pytest.FixtureRequest, path: Path, servers: Callable[[Path], Server]) -> str:
    """The URL of a new store in a file, and of one on each release."""
    return url_of(path) if request.param == "sqlite" else new_store(servers(programs_of(request.param)))
