"""The PostgreSQL store keeps every promise of a log, on every release that is on this machine."""

import pytest

from diptych.stores import Store
from diptych.stores.postgres import PostgresStore
from diptych.testing import EventLogContract
from diptych.testing.event_log import Clock


class TestPostgresLog(EventLogContract):
    @pytest.fixture
    def store(self, postgres_url: str, clock: Clock) -> Store:
        return PostgresStore(postgres_url, clock)
