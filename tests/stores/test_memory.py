"""The store in memory keeps every promise of a log, durability apart, and of a read store."""

import pytest

from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.testing import EventLogContract, ViewStoreContract
from diptych.testing.event_log import Clock


class TestMemoryLog(EventLogContract):
    @pytest.fixture
    def store(self, clock: Clock) -> Store:
        return MemoryStore(clock)


class TestMemoryViews(ViewStoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(Clock())
