"""The stores that projections are tested on, each on an empty place."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diptych.stores.memory import MemoryStore
from diptych.stores.postgres import PostgresStore
from diptych.stores.sqlite import SqliteStore
from tests.conftest import new_store as new_schema
from tests.postgres import Server
from tests.read.engine import NewStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    numbers = itertools.count()
    match request.param:
        case "memory":
            return lambda: MemoryStore(lambda: time.time_ns() // 1000)
        case "sqlite":
            return lambda: SqliteStore(tmp_path / f"{next(numbers)}.db")
        case _:
            server: Server = request.getfixturevalue("postgres")
            return lambda: _postgres(server)


@pytest.fixture
def memory() -> MemoryStore:
    """A store for what does not depend on the store."""
    return MemoryStore(lambda: time.time_ns() // 1000)


def _postgres(server: Server) -> PostgresStore:
    with ThreadPoolExecutor(1) as beside:  # it has an event loop of its own
        return PostgresStore(beside.submit(new_schema, server).result())
