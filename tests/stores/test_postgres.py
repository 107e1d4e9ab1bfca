"""The PostgreSQL store keeps every promise of a log and of a read store, on every release that is on this machine."""

import pytest

from diptych.stores import Store
from diptych.stores.postgres import PostgresStore
from diptych.testing import EventLogContract, SnapshotStoreContract, ViewStoreContract
from diptych.testing.event_log import Clock
from tests.conftest import new_store
from tests.postgres import Server


class TestPostgresLog(EventLogContract):
    @pytest.fixture
    def store(self, each_postgres: Server, clock: Clock) -> Store:
        return PostgresStore(new_store(each_postgres), clock)


class TestPostgresSnapshots(SnapshotStoreContract):
    @pytest.fixture
    def store(self, each_postgres: Server) -> Store:
        return PostgresStore(new_store(each_postgres))


class TestPostgresViews(ViewStoreContract):
    @pytest.fixture
    def store(self, each_postgres: Server) -> Store:
        return PostgresStore(new_store(each_postgres))
