"""Faults 17, 19 and 20 on PostgreSQL: appends that fail half-way, a full tablespace, a disk that forces nothing."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from diptych import OutcomeUnknown, Unavailable
from diptych.log import Append, Outcome
from diptych.stores.postgres import writer
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.log import PostgresLog
from tests.conftest import new_store, programs_of
from tests.faults.conftest import EACH, Preloaded
from tests.faults.postgres_tools import DISK_FULL, check_tables, failing, opened, session
from tests.faults.tools import new_append
from tests.postgres import Server, running

# 17: an append fails at its k-th event, or one of a group fails

CHECK_VIOLATION = "23514"


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        *[("event", f"NEW.stream = 'failing-1' AND NEW.version = {k}") for k in (1, 3, 5)],
        ("event_tag", "NEW.tag = 'b:2' AND NEW.position = 5"),
        ("ledger", "NEW.stream = 'failing-1'"),
    ],
)
async def test_17_an_append_that_fails_at_any_row_leaves_nothing_of_it(
    each_postgres: Server, table: str, condition: str
) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    append = new_append("failing-1", events=5, command_id="failing", tags=("a:1", "b:2"))
    async with opened(url) as log:
        await log.append(new_append("before-1", events=2))
        async with failing(url, table, condition, DISK_FULL):
            with pytest.raises(Unavailable, match="disk is full"):
                await log.append(append)
            assert (await log.head()).position == 2
            assert await log.outcome("failing") is None
            assert (await log.load("failing-1")).version == 0
        assert (await log.append(append)).position == 7
    await check_tables(url)


@pytest.mark.parametrize("at", [0, 2, 4])
async def test_17_one_append_of_a_group_that_fails_harms_no_other(each_postgres: Server, at: int) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    group = [new_append(f"good-{number}", events=2) for number in range(4)]
    group.insert(at, new_append("bad-1", events=3))
    async with opened(url) as log, failing(url, "event", "NEW.stream = 'bad-1' AND NEW.version = 2", CHECK_VIOLATION):
        results = await asyncio.gather(*map(log.append, group), return_exceptions=True)
        assert [isinstance(result, Outcome) for result in results] == [each != at for each in range(5)]
        assert isinstance(results[at], Unavailable)
        assert [event.stream for event in (await log.read(0)).events] == [
            f"good-{number}" for number in range(4) for _ in range(2)
        ]
    await check_tables(url)


# 19: a full disk


def large(number: int) -> Append:
    """An append that takes some pages of its table."""
    append = new_append(f"a-{number}", command_id=f"large-{number}")
    return append._replace(events=[append.events[0]._replace(data=b'"%s"' % os.urandom(16_000).hex().encode())])


@pytest.fixture
def small_disk(own_postgres: Server) -> Iterator[Path]:
    """A file system of sixteen megabytes that the server may write to."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = own_postgres.folder / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    shutil.chown(folder, own_postgres.folder.owner(), own_postgres.folder.group())
    yield folder
    own_postgres.stop()
    subprocess.run(["umount", str(folder)], check=True)


async def move_to(url: str, folder: Path) -> None:
    """Puts the events into a tablespace in the folder."""
    async with session(url) as other:
        await other.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        await other.execute(address_of(url).placed("ALTER TABLE diptych.event SET TABLESPACE small"))


async def fill_up(log: PostgresLog) -> tuple[list[str], list[str]]:
    """Appends until ten in a row fail. Gives the ids of those that were kept, and of those that were not."""
    kept: list[str] = []
    failed: list[str] = []
    for number in range(10_000):
        append = large(number)
        try:
            await log.append(append)
        except Unavailable as error:
            assert "disk is full" in str(error)  # noqa: PT017 - how many fail is not known
            failed.append(append.command_id)
            if len(failed) == 10:
                break
        else:
            kept.append(append.command_id)
    return kept, failed


async def test_19_a_tablespace_that_is_full_and_freed_again_is_written_to_without_a_restart(
    own_postgres: Server, small_disk: Path
) -> None:
    url = await asyncio.to_thread(new_store, own_postgres)
    await move_to(url, small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 12_000_000)
    async with opened(url) as log:
        kept, failed = await fill_up(log)
        assert kept
        assert len(failed) == 10
        assert (await log.head()).position == len(kept)
        for id in failed:
            assert await log.outcome(id) is None
        assert len((await log.read(0)).events) == len(kept)  # readers are answered

        ballast.unlink()
        outcomes = await asyncio.gather(*[log.append(new_append("b-1")) for _ in range(20)])
        assert max(outcome.position for outcome in outcomes) == len(kept) + 20
        assert (await log.append(large(len(kept)))).position == len(kept) + 21
    await check_tables(url)


# 20: fsync returns EIO


@pytest.fixture(params=EACH)
def syncing_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that forces what it commits to the disk."""
    with running(programs_of(request.param), fsync="on") as server:
        yield server


async def test_20_a_disk_that_forces_nothing_leads_to_no_false_acknowledgement(
    syncing_postgres: Server, preloaded: Preloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RESOLVE_TIMEOUT", timedelta(seconds=1))
    server = syncing_postgres
    url = await asyncio.to_thread(new_store, server)
    sign = server.folder / "broken"
    library = preloaded("failing_fsync.c", server.folder)
    await asyncio.to_thread(server.stop)
    environment = {"LD_PRELOAD": str(library), "FSYNC_FAILS": str(sign)}
    await asyncio.to_thread(lambda: server.start(**environment))
    kept: dict[str, Outcome] = {}
    doubtful: list[str] = []
    unkept: list[str] = []
    async with opened(url) as log:
        for number in range(5):
            kept[f"before-{number}"] = await log.append(new_append("a-1", command_id=f"before-{number}"))
        sign.touch()
        for number in range(6):
            results = await asyncio.gather(
                *[log.append(new_append("b-1", command_id=f"{number}-{each}")) for each in range(3)],
                return_exceptions=True,
            )
            for each, result in enumerate(results):
                assert isinstance(result, (OutcomeUnknown, Unavailable)), "nothing is acknowledged"
                (doubtful if isinstance(result, OutcomeUnknown) else unkept).append(f"{number}-{each}")
        assert doubtful
        assert b"PANIC" in (server.folder / "server.log").read_bytes()

        sign.unlink()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        for id, outcome in kept.items():
            assert await log.outcome(id) == outcome
        for id in unkept:
            assert await log.outcome(id) is None
        for id in doubtful:
            outcome = await log.append(new_append("b-1", command_id=id))
            assert outcome == await log.outcome(id)
        assert (await log.head()).position == len(kept) + len(doubtful)
    await check_tables(url)
