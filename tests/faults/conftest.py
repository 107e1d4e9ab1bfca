"""Faults are made to happen: held locks, killed and stopped processes, full disks, lost bytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RELEASES, programs_of
from tests.postgres import Server, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture(params=list(RELEASES) or [""])
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each release that is on this machine, for one test alone: it may be killed."""
    with running(programs_of(request.param)) as server:
        yield server
