"""Object storage keeps every promise of a place for snapshots, in a folder and on an S3 server."""

import itertools
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from diptych.errors import Malformed, Unavailable
from diptych.log import Snapshot
from diptych.stores import KeepsSnapshots, Store, snapshots_at
from diptych.stores.memory import MemoryStore
from diptych.testing import SnapshotStoreContract
from diptych.testing.event_log import Clock
from diptych.testing.snapshot_store import SHAPE, grown, snapshot_of
from tests.seaweed import Seaweed, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    with running() as server:
        yield server


@pytest.fixture
def bucket(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of its own on an S3 server."""
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://diptych/test {next(_numbers)}"


@pytest.fixture
def store() -> Store:
    return MemoryStore(Clock())


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


class TestSnapshotsInAFolder(SnapshotStoreContract):
    @pytest.fixture
    def store(self, store: Store) -> Store:
        return store

    @pytest.fixture
    def place(self, tmp_path: Path) -> KeepsSnapshots:
        return snapshots_at(f"file://{tmp_path}/a%20folder/of%20them")


class TestSnapshotsOnS3(SnapshotStoreContract):
    @pytest.fixture
    def store(self, store: Store) -> Store:
        return store

    @pytest.fixture
    def place(self, bucket: str) -> KeepsSnapshots:
        return snapshots_at(bucket)


async def test_logs_that_share_a_place_do_not_disturb_each_other(tmp_path: Path) -> None:
    place = snapshots_at(f"file://{tmp_path}")
    kept: list[Snapshot] = []
    async with MemoryStore(Clock()).log() as one, MemoryStore(Clock()).log() as other:
        for log in (one, other):
            await grown(log, "order-1", 2)
            kept.append(await snapshot_of(log, "order-1", 1))
            async with place.snapshots(log) as snapshots:
                await snapshots.keep(kept[-1])
        for log, snapshot in zip((one, other), kept, strict=True):
            async with place.snapshots(log) as snapshots:
                assert (await snapshots.restore("order-1", SHAPE)).snapshot == snapshot
        async with place.snapshots(one) as snapshots:
            assert await snapshots.delete("order") == 1
        async with place.snapshots(other) as snapshots:
            assert await snapshots.delete("order") == 1


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff" * 50, b"\x95"])
async def test_an_object_that_is_none_of_ours_is_as_none(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    async with store.log() as log, snapshots_at(f"file://{tmp_path}").snapshots(log) as snapshots:
        await grown(log, "order-1", 2)
        await snapshots.keep(await snapshot_of(log, "order-1", 1))
        [file] = files_in(tmp_path)
        file.write_bytes(garbage)
        assert (await snapshots.restore("order-1", SHAPE)).snapshot is None
    assert "The snapshot of order-1 is damaged" in caplog.text


async def test_the_snapshot_of_another_stream_in_its_place_is_as_none(tmp_path: Path, store: Store) -> None:
    async with store.log() as log, snapshots_at(f"file://{tmp_path}").snapshots(log) as snapshots:
        for stream in ("order-1", "order-2"):
            await grown(log, stream, 2)
        await snapshots.keep(await snapshot_of(log, "order-1", 1))
        [file] = files_in(tmp_path)
        await snapshots.keep(await snapshot_of(log, "order-2", 1))
        [other] = files_in(tmp_path) - {file}
        other.write_bytes(file.read_bytes())
        assert (await snapshots.restore("order-2", SHAPE)).snapshot is None


async def test_a_server_that_is_gone_is_done_without_and_is_asked_again_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("diptych.stores.objects.snapshots.monotonic", lambda: now)
    with running() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        async with store.log() as log, snapshots_at("s3://diptych/shop").snapshots(log) as snapshots:
            await grown(log, "order-1", 2)
            kept = await snapshot_of(log, "order-1", 1)
            await snapshots.keep(kept)
            server.kill()

            began = time.monotonic()
            for _ in range(50):
                assert (await snapshots.restore("order-1", SHAPE)).version == 2
            assert time.monotonic() - began < 5
            assert [record.levelno for record in caplog.records] == [logging.WARNING]
            assert "Snapshots are passed over for 10 s: s3://diptych/shop" in caplog.text
            with pytest.raises(Unavailable, match="s3://diptych/shop"):
                await snapshots.keep(kept)

            server.start()
            assert (await snapshots.restore("order-1", SHAPE)).snapshot is None
            now += 11
            while True:  # the server answers some time before it takes anything
                with suppress(Unavailable):
                    await snapshots.keep(kept)
                    break
            assert (await snapshots.restore("order-1", SHAPE)).snapshot == kept


async def test_a_server_that_never_answers_holds_a_load_up_for_a_second(
    bucket: str, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("diptych.stores.objects.snapshots._read", lambda *_: time.sleep(3))
    async with store.log() as log, snapshots_at(bucket).snapshots(log) as snapshots:
        await grown(log, "order-1", 2)
        began = time.monotonic()
        assert (await snapshots.restore("order-1", SHAPE)).version == 2
        assert time.monotonic() - began < 2.5
    assert "does not answer" in caplog.text


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").write_text("")
    async with store.log() as log, snapshots_at(f"file://{tmp_path}/file/in/it").snapshots(log) as snapshots:
        await grown(log, "order-1", 2)
        assert (await snapshots.restore("order-1", SHAPE)).version == 2
        with pytest.raises(Unavailable, match="in/it"):
            await snapshots.keep(await snapshot_of(log, "order-1", 1))


@pytest.mark.parametrize(
    "url",
    ["", "shop", "file://shop", "file://host/shop", "s3://", "s3:///shop", "s3://bucket/shop?key=1", "s3://a@bucket"],
)
def test_a_url_that_names_no_place_for_snapshots_says_what_does(url: str) -> None:
    with pytest.raises(Malformed, match="no place for snapshots; say file:///var/lib/shop"):
        snapshots_at(url)


class WithoutDriver:
    """Finds modules as where obstore is not installed."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "obstore":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_object_storage_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("diptych.stores.objects", "obstore"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [WithoutDriver(), *sys.meta_path])
    with pytest.raises(Unavailable, match=r'pip install "diptych\[objects\]"'):
        snapshots_at("file:///var/lib/shop")
