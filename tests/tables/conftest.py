"""Every test here runs on both stores that have SQL, unless it is about something else; nothing is broken at first."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tables.takings import broken


@pytest.fixture(autouse=True)
def nothing_broken() -> Iterator[None]:
    yield
    broken.clear()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'takings.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found
