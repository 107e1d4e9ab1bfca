"""Fault 19: a disk that is full, and freed again. Errors, no false acknowledgement, and on without a restart."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from diptych import App, Unavailable
from tests.app.shop import Line, OrderCount, PlaceOrder, order, shop
from tests.faults.tools import ROOT, check_file, check_whole, events_of, sqlite_log, token_at, url_of


def large(order_id: str) -> PlaceOrder:
    """A command whose event takes some pages."""
    small = order(order_id)
    return PlaceOrder(order_id=order_id, customer_id="c" * 20_000, lines=[Line("mug", 1, small.lines[0].price)])


async def fill_up(app: App, name: str) -> tuple[int, int]:
    """Sends commands until ten in a row fail. Gives how many were accepted, and how many failed."""
    accepted, failed, number = 0, 0, 0
    while failed < 10:
        number += 1
        try:
            await app.execute(large(f"{name}-{number}"))
            accepted += 1
        except Unavailable as error:
            assert "disk is full" in str(error)  # noqa: PT017 - how many fail is not known
            failed += 1
    return accepted, failed


async def test_19_a_log_that_may_not_grow_says_so_and_goes_on_when_it_may(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        writer = sqlite_log(app)._writer
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages + 40}")
        accepted, _ = await fill_up(app, "a")
        assert accepted > 0
        assert len(await events_of(app)) == accepted
        many = await asyncio.gather(*[app.execute(large(f"b-{n}")) for n in range(20)], return_exceptions=True)
        kept = [result for result in many if not isinstance(result, BaseException)]
        assert len(await events_of(app)) == accepted + len(kept)

        writer.execute("PRAGMA max_page_count = 1000000")
        results = await asyncio.gather(*[app.execute(large(f"c-{n}")) for n in range(20)])
        assert results[-1].token.position == accepted + len(kept) + 20
        await check_whole(app)
    check_file(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_19_a_full_disk_that_is_freed_is_written_to_again_and_the_views_follow(small_disk: Path) -> None:
    path = small_disk / "shop.db"
    async with shop.open(url_of(path)) as app:
        first = await app.execute(order("first"))
        await app.caught_up(first.token)
        # What is freed later has room for every row at once, wherever the views stood when the disk was full.
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * 6_800_000)
        accepted, _ = await fill_up(app, "a")
        assert accepted > 0
        assert len(await events_of(app)) == accepted + 1
        assert await app.ask(OrderCount()) >= 1  # questions are answered

        ballast.unlink()
        again = await app.execute(order("again"))
        assert again.token.position == accepted + 2
        await app.caught_up(token_at(app, accepted + 2), timeout=timedelta(seconds=20))
        await check_whole(app)
    check_file(path)


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from tests.app.shop import shop
from tests.faults.test_full_disk import large
from tests.faults.tools import url_of

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))
    async with shop.open(url_of(Path(sys.argv[1]))) as app:
        failed = 0
        for number in range(300):
            try:
                await app.execute(large(f"{number}"), command_id=f"{number}")
            except Exception as error:
                print("failed", number, type(error).__name__, flush=True)
                failed += 1
                if failed == 5:
                    break
            else:
                print("kept", number, flush=True)
asyncio.run(main())
"""


async def test_19_a_file_that_may_not_grow_leads_to_no_false_acknowledgement(path: Path) -> None:
    assert resource.RLIMIT_FSIZE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LIMITED, str(path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    lines = [line.split() for line in output.decode().splitlines()]
    kept = [line[1] for line in lines if line[0] == "kept"]
    failed = [line for line in lines if line[0] == "failed"]
    assert kept
    assert len(failed) == 5
    assert {line[2] for line in failed} <= {"Unavailable", "OutcomeUnknown"}
    async with shop.open(url_of(path)) as app:
        ids = {event.metadata.command_id for event in await check_whole(app)}
        assert set(kept) <= ids
        assert not ids & {line[1] for line in failed if line[2] == "Unavailable"}
    check_file(path)
