"""The store in memory keeps every promise of a log, durability apart, and of a read store."""

import pytest

from diptych.errors import Unavailable
from diptych.stores import Store
from diptych.stores.memory import MemoryStore
from diptych.testing import EventLogContract, SnapshotStoreContract, ViewStoreContract
from diptych.testing.event_log import Clock


def test_a_store_in_memory_has_nothing_for_those_who_only_read() -> None:
    with pytest.raises(Unavailable, match="gone with its process"):
        MemoryStore(Clock()).must_exist()


class TestMemoryLog(EventLogContract):
    @pytest.fixture
    def store(self, clock: Clock) -> Store:
        return MemoryStore(clock)


class TestMemorySnapshots(SnapshotStoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(Clock())


class TestMemoryViews(ViewStoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(Clock())
