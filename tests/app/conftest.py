"""Every test here runs on both stores that need no server, unless it is about one of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diptych import App
from tests.app.shop import shop


@pytest.fixture(params=["sqlite", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else "memory://"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture
async def app(url: str) -> AsyncIterator[App]:
    async with shop.open(url) as app:
        yield app
