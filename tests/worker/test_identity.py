"""What workers are called, and what that tells others on the same machine."""

import os
import subprocess
import sys

import pytest

from diptych.worker import gone, new_identity
from diptych.worker import identity as module


def in_another_process(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", f"from diptych.worker import gone, new_identity\n{code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_no_two_workers_have_one_identity() -> None:
    assert len({new_identity() for _ in range(1000)}) == 1000


def test_a_worker_of_this_process_is_not_gone() -> None:
    assert not gone(new_identity())


def test_a_worker_is_gone_when_its_process_has_ended() -> None:
    with in_another_process("print(new_identity(), flush=True); input()") as process:
        assert process.stdout is not None
        identity = process.stdout.readline().strip()
        assert f":{process.pid}:" in identity
        assert not gone(identity)
        process.kill()
        process.wait()
        assert gone(identity)


@pytest.mark.parametrize("identity", ["", "w", "somewhere:1:abc", "::", "a:b:c:d:e"])
def test_what_cannot_be_known_is_not_taken_for_gone(identity: str) -> None:
    assert not gone(identity)


def test_a_worker_of_another_machine_is_not_judged_by_the_processes_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with in_another_process("print(new_identity())") as process:
        identity = process.communicate()[0].strip()
    assert gone(identity)
    monkeypatch.setattr(module, "_place", lambda: "another/machine")
    assert not gone(identity)


def test_a_process_of_somebody_else_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int, signal: int) -> None:
        raise PermissionError

    identity = new_identity()
    monkeypatch.setattr(os, "kill", refused)
    assert not gone(identity)
