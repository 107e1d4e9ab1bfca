"""Faults 16, 17 and 20: lost replies, appends that fail half-way, disks that fail in the moment of the commit."""

import asyncio
import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from diptych import OutcomeUnknown, Unavailable
from diptych.log import Append, NewEvent, Outcome
from tests.app.shop import OrderCount, ShipOrder, order, shop
from tests.faults.tools import (
    ROOT,
    check_file,
    check_whole,
    events_of,
    new_append,
    opened_log,
    sqlite_log,
    url_of,
)
from tests.faults.writer import FaultyWriter, failure


def once(sql: str, error: sqlite3.Error) -> Any:
    """Fails the first time that this statement comes."""
    errors = [error]
    return lambda statement: errors.pop() if errors and statement.startswith(sql) else None


async def positions(path: Path) -> list[tuple[int, str]]:
    async with opened_log(path) as log:
        return [(event.position, event.stream) for event in (await log.read(0, 10_000)).events]


# 16: the commit succeeds, the reply is lost


async def test_16_a_command_whose_reply_was_lost_is_kept_once_and_its_retry_gets_the_first_outcome(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        await app.execute(order("0"))
        writer = FaultyWriter(sqlite_log(app))
        writer.after = once("COMMIT", failure(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"))
        with pytest.raises(OutcomeUnknown, match="same id") as caught:
            await app.execute(order("1"), command_id="lost")
        assert caught.value.command_id == "lost"
    async with shop.open(url_of(path)) as app:
        again = await app.execute(order("1"), command_id="lost")
        assert (again.version, again.token.position, again.events) == (1, 2, ("OrderPlaced",))
        assert await app.execute(order("1"), command_id="lost") == again
        assert len(await check_whole(app)) == 2
    check_file(path)


async def test_16_a_command_that_was_not_kept_when_its_reply_was_lost_is_kept_by_the_retry(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        writer = FaultyWriter(sqlite_log(app))
        writer.before = once("COMMIT", failure(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error"))
        with pytest.raises(OutcomeUnknown):
            await app.execute(order("1"), command_id="lost")
    async with shop.open(url_of(path)) as app:
        assert await events_of(app) == []
        assert (await app.execute(order("1"), command_id="lost")).version == 1
        assert len(await check_whole(app)) == 1
    check_file(path)


@pytest.mark.parametrize("turns", range(12))
async def test_16_a_caller_that_goes_away_at_any_moment_gets_the_one_outcome_when_it_asks_again(
    path: Path, turns: int
) -> None:
    async with shop.open(url_of(path)) as app:
        task = asyncio.create_task(app.execute(order("1"), command_id="a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        receipts = await asyncio.gather(*[app.execute(order("1"), command_id="a") for _ in range(3)])
        assert len(set(receipts)) == 1
        assert len(await check_whole(app)) == 1


# 17: an append fails at its k-th event, or one of a group fails


@pytest.mark.parametrize("table", ["INSERT INTO event ", "INSERT INTO ledger"])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "error",
    [
        failure(sqlite3.SQLITE_FULL, "full"),
        failure(sqlite3.SQLITE_IOERR_WRITE, "write"),
        failure(sqlite3.SQLITE_NOMEM, "memory"),
    ],
    ids=str,
)
async def test_17_an_append_that_fails_at_any_event_leaves_nothing_of_it(
    path: Path, table: str, k: int, error: sqlite3.Error
) -> None:
    async with opened_log(path) as log:
        await log.append(new_append("before-1", events=2))
        writer = FaultyWriter(log)
        if table.endswith("ledger"):
            writer.before = lambda sql: error if sql.startswith(table) else None
        else:
            writer.row = lambda sql, number: error if sql.startswith(table) and number == k else None
        with pytest.raises(Unavailable):
            await log.append(new_append("failing-1", events=5, command_id="failing", tags=("a:1", "b:2")))
        assert (await log.head()).position == 2
        assert await log.outcome("failing") is None
        assert (await log.load("failing-1")).version == 0
        writer.before = lambda sql: None
        writer.row = lambda sql, number: None
        assert (await log.append(new_append("failing-1", events=5, command_id="failing"))).position == 7
    check_file(path)


def unkeepable(stream: str) -> Append:
    """An append that the file refuses: an event's id has to be bytes."""
    bad: Any = "text"
    append = new_append(stream, events=3)
    return append._replace(events=[*append.events[:2], NewEvent("Happened", 1, bad, (), b"{}")])


@pytest.mark.parametrize("at", range(5))
async def test_17_one_append_of_a_group_that_fails_harms_no_other(path: Path, at: int) -> None:
    async with opened_log(path) as log:
        group = [new_append(f"good-{number}", events=2) for number in range(4)]
        group.insert(at, unkeepable("bad-1"))
        results = await asyncio.gather(*map(log.append, group), return_exceptions=True)
    assert [isinstance(result, Outcome) for result in results] == [each != at for each in range(5)]
    assert isinstance(results[at], Unavailable)
    assert sorted(await positions(path)) == [
        (2 * number + each, f"good-{number}") for number in range(4) for each in (1, 2)
    ]
    check_file(path)


async def test_17_what_was_kept_of_a_group_is_acknowledged_although_the_disk_is_full_for_the_rest(path: Path) -> None:
    async with opened_log(path) as log:
        writer = FaultyWriter(log)
        full = failure(sqlite3.SQLITE_FULL)
        writer.before = lambda sql: full if sql == "COMMIT" and writer.commits > 1 else None
        warm_up = log.append(new_append("first-1"))  # while it is committed the others gather
        group = [new_append("good-1"), unkeepable("bad-1"), new_append("late-1")]
        writer.before = lambda sql: full if sql == "COMMIT" and writer.commits > 2 else None
        results = await asyncio.gather(warm_up, *map(log.append, group), return_exceptions=True)
    kept = {stream for _, stream in await positions(path)}
    for append, result in zip([new_append("first-1"), *group], results, strict=True):
        assert isinstance(result, Outcome) == (append.stream in kept), (append.stream, result, kept)
        if not isinstance(result, Outcome):
            assert isinstance(result, Unavailable)
    check_file(path)


async def test_17_an_unknown_outcome_in_a_group_is_not_called_a_failure(path: Path) -> None:
    async with opened_log(path) as log:
        writer = FaultyWriter(log)
        lost = failure(sqlite3.SQLITE_IOERR_FSYNC)
        group = [new_append("good-1"), unkeepable("bad-1"), new_append("late-1")]
        writer.after = lambda sql: lost if sql == "COMMIT" else None
        results = await asyncio.gather(*map(log.append, group), return_exceptions=True)
    kept = {stream for _, stream in await positions(path)}
    for append, result in zip(group, results, strict=True):
        if append.stream in kept:
            assert isinstance(result, (Outcome, OutcomeUnknown)), (append.stream, result)


# 20: fsync returns EIO


async def test_20_after_a_failed_commit_nothing_is_written_until_the_store_is_opened_anew(path: Path) -> None:
    async with shop.open(url_of(path)) as app:
        placed = await app.execute(order("0"))
        await app.caught_up(placed.token)
        writer = FaultyWriter(sqlite_log(app))
        writer.before = once("COMMIT", failure(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"))
        results = await asyncio.gather(*[app.execute(order(f"a{n}")) for n in range(10)], return_exceptions=True)
        assert {type(result) for result in results} <= {OutcomeUnknown, Unavailable}
        assert OutcomeUnknown in {type(result) for result in results}
        commits = writer.commits

        for number in range(3):
            with pytest.raises(Unavailable, match="opened anew"):
                await app.execute(order(f"b{number}"))
        assert writer.commits == commits  # it was not tried again
        assert await app.ask(OrderCount()) == 1  # reading goes on
        assert len(await events_of(app)) == 1
    async with shop.open(url_of(path)) as app:
        assert (await app.execute(ShipOrder(order_id="0"))).token.position == 2
        await check_whole(app)
    check_file(path)


async def test_20_a_log_whose_disk_failed_does_not_keep_the_lock_from_others(path: Path) -> None:
    async with opened_log(path) as log:
        writer = FaultyWriter(log)
        writer.before = once("COMMIT", failure(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"))
        with pytest.raises(OutcomeUnknown):
            await log.append(new_append("a-1"))
        other = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        finally:
            other.close()


INJECTED = """
import asyncio, json, sys
from pathlib import Path
from tests.app.shop import order, shop
from tests.faults.tools import url_of

async def main():
    async with shop.open(url_of(Path(sys.argv[1]))) as app:
        for number in range(40):
            try:
                receipt = await app.execute(order(f"{number}"), command_id=f"{number}")
            except Exception as error:
                print(json.dumps({"command": f"{number}", "error": type(error).__name__}), flush=True)
            else:
                print(json.dumps({"command": receipt.command_id, "position": receipt.token.position}), flush=True)
asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes system calls fail")
@pytest.mark.parametrize(
    "injection",
    [
        "inject=fsync,fdatasync:error=EIO:when=12+",
        "inject=fsync,fdatasync:error=EIO:when=14",
        "inject=pwrite64:error=EIO:when=60+",
        "inject=pwrite64:error=ENOSPC:when=60+",
        "inject=pwrite64:error=ENOSPC:when=60..70",
    ],
)
async def test_20_system_calls_that_fail_lead_to_no_false_acknowledgement(path: Path, injection: str) -> None:

    async with shop.open(url_of(path)) as app:
        await app.execute(order("first"))
    process = await asyncio.create_subprocess_exec(
        "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,pwrite64", "-e", injection,
        sys.executable, "-c", INJECTED, str(path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    if b"PTRACE" in errors or b"ptrace" in errors:
        pytest.skip("this machine does not let a process be traced")
    said = [json.loads(line) for line in output.splitlines()]
    failed = [line for line in said if "error" in line]
    assert failed, (said, errors)
    assert {line["error"] for line in failed} <= {"Unavailable", "OutcomeUnknown"}
    async with shop.open(url_of(path)) as app:
        events = await check_whole(app)
        kept = {event.metadata.command_id: event.position for event in events}
        for line in said:
            if "position" in line:
                assert kept[line["command"]] == line["position"]
            elif line["error"] == "Unavailable":
                assert line["command"] not in kept  # "nothing was kept" is true
    check_file(path)
