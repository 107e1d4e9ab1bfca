"""The contract of a place for snapshots as a pytest suite: what `diptych.log.SnapshotStore` promises.

The test file of a store gives the fixture `store`, on an empty place, and has the whole suite:

    class TestSqliteSnapshots(SnapshotStoreContract):
        @pytest.fixture
        def store(self, tmp_path: Path) -> Store:
            return SqliteStore(tmp_path / "log.db")

A place apart from the log is given by a fixture `place`. Needs pytest and pytest-asyncio.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import os
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from diptych.log import Anchor, EventLog, NewEvent, Snapshot, SnapshotStore
from diptych.stores import KeepsSnapshots, Store
from diptych.testing.event_log import HARD_IDS, an_append
from diptych.testing.event_log_batches import happened

SHAPE = "shape"
LARGE = 3_000_000


async def grown(log: EventLog, stream: str, events: int) -> list[NewEvent]:
    """So many new events of a stream, in one append."""
    new = [happened(data=b'{"n":%d}' % number) for number in range(events)]
    await log.append(an_append(stream, *new))
    return new


async def snapshot_of(log: EventLog, stream: str, version: int, data: bytes = b"state", shape: str = SHAPE) -> Snapshot:
    """A snapshot as it is made: it ends with an event that the log has."""
    events, _ = await log.load(stream, version - 1)
    upto = await log.anchor(events[0].position)
    assert upto is not None
    return Snapshot(stream, version, upto, shape, data)


class SnapshotStoreContract:
    """What every place for snapshots promises. See the module for how it is used."""

    @pytest.fixture
    def place(self, store: Store) -> KeepsSnapshots:
        """Where the snapshots are."""
        return store

    @pytest_asyncio.fixture
    async def log(self, store: Store) -> AsyncGenerator[EventLog]:
        """The log whose snapshots are kept."""
        async with store.log() as log:
            yield log

    @pytest_asyncio.fixture
    async def snapshots(self, place: KeepsSnapshots, log: EventLog) -> AsyncGenerator[SnapshotStore]:
        """The snapshots, open."""
        async with place.snapshots(log) as snapshots:
            yield snapshots

    async def test_a_stream_without_a_snapshot_is_restored_from_all_its_events(
        self, log: EventLog, snapshots: SnapshotStore
    ) -> None:
        await grown(log, "order-1", 3)
        snapshot, events, version = await snapshots.restore("order-1", SHAPE)
        assert (snapshot, version) == (None, 3)
        assert list(events) == list((await log.load("order-1")).events)
        snapshot, events, version = await snapshots.restore("order-2", SHAPE)
        assert (snapshot, len(events), version) == (None, 0, 0)

    @pytest.mark.parametrize("version", [1, 2, 3])
    async def test_a_snapshot_is_given_back_as_it_was_kept_with_the_events_after_it(
        self, log: EventLog, snapshots: SnapshotStore, version: int
    ) -> None:
        await grown(log, "other-1", 2)
        await grown(log, "order-1", 3)
        kept = await snapshot_of(log, "order-1", version)
        await snapshots.keep(kept)
        restored = await snapshots.restore("order-1", SHAPE)
        assert restored.snapshot == kept
        assert list(restored.events) == list((await log.load("order-1", version)).events)
        assert restored.version == 3

    async def test_a_snapshot_of_another_shape_is_as_none(self, log: EventLog, snapshots: SnapshotStore) -> None:
        await grown(log, "order-1", 2)
        await snapshots.keep(await snapshot_of(log, "order-1", 1))
        snapshot, events, version = await snapshots.restore("order-1", "another")
        assert (snapshot, len(events), version) == (None, 2, 2)

    async def test_a_snapshot_takes_the_place_of_the_one_before_also_of_a_newer_one(
        self, log: EventLog, snapshots: SnapshotStore
    ) -> None:
        await grown(log, "order-1", 3)
        for version, shape in ((2, SHAPE), (3, SHAPE), (1, SHAPE), (2, "another"), (2, SHAPE)):
            kept = await snapshot_of(log, "order-1", version, f"{version}".encode(), shape)
            await snapshots.keep(kept)
            assert (await snapshots.restore("order-1", shape)).snapshot == kept

    async def test_a_snapshot_of_an_event_that_the_log_does_not_have_is_as_none(
        self, log: EventLog, snapshots: SnapshotStore
    ) -> None:
        await grown(log, "order-1", 2)
        right = await snapshot_of(log, "order-1", 2)
        for upto in (Anchor(right.upto.position, bytes(16)), Anchor(99, right.upto.event_id), Anchor(99, bytes(16))):
            await snapshots.keep(right._replace(version=99, upto=upto))
            snapshot, events, version = await snapshots.restore("order-1", SHAPE)
            assert (snapshot, len(events), version) == (None, 2, 2)

    @pytest.mark.parametrize("hard", HARD_IDS)
    async def test_a_stream_may_have_any_name(self, log: EventLog, snapshots: SnapshotStore, hard: str) -> None:
        await grown(log, f"order-{hard}", 2)
        await grown(log, "order-x", 2)
        kept = await snapshot_of(log, f"order-{hard}", 1)
        await snapshots.keep(kept)
        assert (await snapshots.restore(f"order-{hard}", SHAPE)).snapshot == kept
        assert (await snapshots.restore("order-x", SHAPE)).snapshot is None

    @pytest.mark.parametrize("data", [b"", b"\0\xff'\"", os.urandom(1000), bytes(LARGE)], ids=len)
    async def test_a_state_may_be_any_bytes(self, log: EventLog, snapshots: SnapshotStore, data: bytes) -> None:
        await grown(log, "order-1", 1)
        await snapshots.keep(await snapshot_of(log, "order-1", 1, data))
        restored = await snapshots.restore("order-1", SHAPE)
        assert restored.snapshot is not None
        assert restored.snapshot.data == data

    @pytest.mark.parametrize("category", ["order", "two words", "ö/é", "a.b"])
    async def test_the_snapshots_of_one_category_are_deleted_and_counted(
        self, log: EventLog, snapshots: SnapshotStore, category: str
    ) -> None:
        deleted, others = [f"{category}-1", f"{category}-é/2"], [f"{category}s-1", "orde-r-1", "another-1"]
        for stream in (*deleted, *others):
            await grown(log, stream, 2)
            await snapshots.keep(await snapshot_of(log, stream, 1))
        assert await snapshots.delete(category) == 2
        assert await snapshots.delete(category) == 0
        found = {stream: (await snapshots.restore(stream, SHAPE)).snapshot for stream in (*deleted, *others)}
        assert [stream for stream, snapshot in found.items() if snapshot is not None] == others

    async def test_nothing_to_delete_is_no_error(self, snapshots: SnapshotStore) -> None:
        assert await snapshots.delete("order") == 0

    async def test_many_streams_at_once_get_each_its_own(self, log: EventLog, snapshots: SnapshotStore) -> None:
        streams = [f"order-{number}" for number in range(40)]
        for number, stream in enumerate(streams):
            await grown(log, stream, number % 4)
            if number % 4 > 1:
                await snapshots.keep(await snapshot_of(log, stream, number % 4 - 1, stream.encode()))
        asked = [*streams, *streams[:3]]
        found = await asyncio.gather(*[snapshots.restore(stream, SHAPE) for stream in asked])
        for stream, (snapshot, events, version) in zip(asked, found, strict=True):
            number = int(stream.removeprefix("order-")) % 4
            assert version == number
            assert {event.stream for event in events} <= {stream}
            assert (snapshot is None) == (number < 2)
            assert len(events) == (1 if snapshot is not None else number)
            assert snapshot is None or snapshot.data == stream.encode()

    async def test_keeping_deleting_and_restoring_at_once_ends_well(
        self, log: EventLog, snapshots: SnapshotStore
    ) -> None:
        await grown(log, "order-1", 5)
        kept = [await snapshot_of(log, "order-1", version, b"x" * version) for version in range(1, 6)]

        async def restored() -> None:
            snapshot, events, version = await snapshots.restore("order-1", SHAPE)
            assert snapshot is None or snapshot in kept
            assert (0 if snapshot is None else snapshot.version) + len(events) == version == 5

        for _ in range(5):
            async with asyncio.TaskGroup() as group:
                for one in kept:
                    group.create_task(snapshots.keep(one))
                    group.create_task(restored())
                group.create_task(snapshots.delete("order"))

    async def test_a_snapshot_is_there_when_the_place_is_opened_again(
        self, place: KeepsSnapshots, log: EventLog
    ) -> None:
        await grown(log, "order-1", 2)
        kept = await snapshot_of(log, "order-1", 2)
        async with place.snapshots(log) as snapshots:
            await snapshots.keep(kept)
        async with place.snapshots(log) as snapshots:
            assert (await snapshots.restore("order-1", SHAPE)).snapshot == kept
