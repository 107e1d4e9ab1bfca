"""A child process that is kept running, and that keeps nobody waiting."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from diptych.worker import ChildFailed, Supervisor
from diptych.worker.supervisor import FIRST_WAIT
from tests.faults.tools import ROOT, until

STAYS = """
import asyncio
from diptych.worker import stay, words_to_parent
told = words_to_parent()
print("this is for nobody")
asyncio.run(stay(told))
"""
DEAF = "import signal, sys, time; print('ready', flush=True); time.sleep(60)"


def child(tmp_path: Path, code: str) -> tuple[Supervisor, Path]:
    """A supervisor of this code, and the file in which each start leaves a line with its process id."""
    starts = tmp_path / "starts"
    note = f"import os; open({str(starts)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    return Supervisor("the child", [sys.executable, "-c", note + code]), starts


def pids(starts: Path) -> list[int]:
    return [int(line) for line in starts.read_text().split()] if starts.exists() else []


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_child_that_is_at_work_is_no_obstacle_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    supervisor, starts = child(tmp_path, STAYS)
    before = supervisor.obstacle
    await supervisor.start()
    assert (before, supervisor.obstacle) == ("the child is starting", None)
    await supervisor.stop()
    (pid,) = pids(starts)
    assert not lives(pid)


async def test_each_child_is_told_its_work_on_its_stdin_and_stays_on(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    note = f"import sys; open({str(heard)!r}, 'ab').write(sys.stdin.buffer.readline())\n"
    supervisor = Supervisor("the child", [sys.executable, "-c", note + STAYS], b"work\n")
    await supervisor.start()
    assert (heard.read_bytes(), supervisor.obstacle) == (b"work\n", None)
    await supervisor.stop()


async def test_a_child_that_is_killed_is_started_again_and_meanwhile_an_obstacle(tmp_path: Path) -> None:
    supervisor, starts = child(tmp_path, STAYS)
    await supervisor.start()
    for killed in (1, 2):
        os.kill(pids(starts)[-1], signal.SIGKILL)

        async def noticed() -> bool:
            return supervisor.obstacle is not None

        async def back(starts_by_now: int = killed + 1) -> bool:
            return supervisor.obstacle is None and len(pids(starts)) == starts_by_now

        await until(noticed)
        assert supervisor.obstacle == "the child ended with exit code -9 and is started again"
        await until(back)
    await supervisor.stop()
    assert not any(lives(pid) for pid in pids(starts))


async def test_a_child_that_never_gets_to_work_is_not_started_again_and_again(tmp_path: Path) -> None:
    supervisor, starts = child(tmp_path, "raise SystemExit(3)")
    with pytest.raises(ChildFailed) as failed:
        await supervisor.start()
    assert failed.value.code == 3
    await asyncio.sleep(2 * FIRST_WAIT.total_seconds())
    assert len(pids(starts)) == 1
    await supervisor.stop()


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.worker.supervisor.PATIENCE", FIRST_WAIT)
    supervisor, starts = child(tmp_path, DEAF)
    await supervisor.start()
    await supervisor.stop()
    (pid,) = pids(starts)
    assert not lives(pid)


PARENT = """
import asyncio, sys
from diptych.worker import Supervisor
async def main():
    supervisor = Supervisor("the child", [sys.executable, "-c", sys.argv[1]])
    await supervisor.start()
    print(supervisor._process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_child_does_not_outlive_its_parent_however_that_dies() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, STAYS, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await parent.stdout.read()

    async def gone() -> bool:
        return not lives(pid)

    await until(gone)
