import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych
from tests.faults.tools import new_append, opened_log

IMPORT = [sys.executable, "-m", "diptych", "event-store", "import"]


def line(number: int) -> str:
    data = {"order_id": f"{number}", "customer_id": "c", "total": "1"}
    return json.dumps({"stream": f"order-{number}", "type": "OrderPlaced", "data": data}) + "\n"


def lines_of(count: int) -> str:
    return "".join(map(line, range(1, count + 1)))


@pytest.fixture
def words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line for a file of 2,500 events and a new store."""
    (folder / "old.ndjson").write_text(lines_of(2500))
    monkeypatch.setenv("DIPTYCH_STORE", f"sqlite:///{folder / 'new.db'}")
    monkeypatch.setenv("DIPTYCH_TARGET", SHOP)
    return ["event-store", "import", "old.ndjson"]


def test_a_file_is_imported_once(diptych: Diptych, words: list[str]) -> None:
    ran = diptych(*words)
    assert ran.code == 0
    assert ran.out.startswith("Imported 2,500 events in ")
    assert ran.out.splitlines()[1].startswith("Token    ")
    assert ran.err.splitlines()[0].startswith("A new store is made: sqlite:///")
    assert ran.err.splitlines()[-1].startswith("Lines: 2,500 of 2,500 (100%)")

    [again] = diptych(*words, "--json").lines()
    assert list(again) == ["imported", "before", "token", "seconds"]
    assert (again["imported"], again["before"], again["token"]) == (0, 2500, ran.out.split()[-1])
    assert "; 2,500 were imported before." in diptych(*words).out
    assert len(diptych("event-store", "stream", "--limit", "9999").out.splitlines()) == 2500


def test_what_a_log_prints_is_taken_by_another(diptych: Diptych, store: str, folder: Path) -> None:
    (folder / "log.ndjson").write_text(diptych("event-store", "stream", "--json").out)
    other = ["--store", f"sqlite:///{folder / 'other.db'}"]
    assert diptych("event-store", "import", "log.ndjson", *other).code == 0

    def told(*words: str) -> list[dict[str, object]]:
        lines = diptych("event-store", "stream", "--json", *words).lines()
        for line in lines:
            line["recorded_at"] = line["metadata"].pop("first_recorded_at") or line["recorded_at"]
        return lines

    assert told(*other) == told()


def test_a_bad_line_is_named_with_what_was_imported_and_mended_it_goes_on(
    diptych: Diptych, words: list[str], folder: Path
) -> None:
    good = (folder / "old.ndjson").read_text()
    (folder / "old.ndjson").write_text(good.replace('"order-2400"', '"order2400"'))
    ran = diptych(*words)
    assert (ran.code, ran.out) == (1, "")
    assert "Line 2,400: 'order2400' names no stream" in ran.err
    assert "The lines up to 2,000 are imported. Mend that and give the same command again: it goes on there." in ran.err

    (folder / "old.ndjson").write_text(good)
    assert diptych(*words, "--json").lines()[0]["imported"] == 500


def test_a_line_that_was_changed_after_its_import_ends_it_with_1_and_doubles_nothing(
    diptych: Diptych, words: list[str], folder: Path
) -> None:
    diptych(*words)
    old = (folder / "old.ndjson").read_text()
    changed = [*old.splitlines()[:1500], line(9999).strip(), *old.splitlines()[1501:]]
    (folder / "old.ndjson").write_text("\n".join(changed))
    ran = diptych(*words)
    assert ran.code == 1
    assert "Lines 1,001 to 2,000: these are not those that were imported after line 1,000." in ran.err
    assert len(diptych("event-store", "stream", "--limit", "9999").out.splitlines()) == 2500


def test_a_check_names_every_bad_line_and_imports_nothing(diptych: Diptych, words: list[str], folder: Path) -> None:
    told = diptych(*words, "--check")
    assert (told.code, told.out) == (0, "All 2,500 lines can be taken; nothing was imported.\n")
    assert diptych(*words, "--check", "--json").lines() == [{"lines": 2500}]

    (folder / "old.ndjson").write_text(lines_of(3).replace('"1"', '"x"', 2) + "{" + "\n{" * 30)
    ran = diptych(*words, "--check")
    assert (ran.code, ran.out) == (1, "")
    assert "line 1: " in ran.err
    assert "line 4: This is not JSON" in ran.err
    assert ran.err.count("  line ") == 20
    assert not (folder / "new.db").exists()


def test_a_file_that_cannot_be_read_is_wrong_use(diptych: Diptych, words: list[str]) -> None:
    ran = diptych(*words[:2], "missing.ndjson")
    assert ran.code == 2
    assert "missing.ndjson cannot be read: No such file or directory" in ran.err
    assert diptych(*words, "--store", "sqlite:////nowhere/new.db").code == 3


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}


def test_stdin_is_a_pipe_or_a_file(words: list[str], folder: Path) -> None:
    text = (folder / "old.ndjson").read_text()
    piped = subprocess.run([*IMPORT, "-"], input=text, env=environment(), capture_output=True, text=True, check=True)
    assert piped.stdout.startswith("Imported 2,500 events")
    with (folder / "old.ndjson").open() as file:
        read = subprocess.run([*IMPORT, "-"], stdin=file, env=environment(), capture_output=True, text=True, check=True)
    assert "2,500 were imported before." in read.stdout
    assert "Lines: 2,500 of 2,500 (100%)" in read.stderr


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_one_that_is_stopped_in_the_middle_goes_on_and_keeps_nothing_twice(
    diptych: Diptych, words: list[str], folder: Path, how: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [*IMPORT, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as one:
        assert one.stdin is not None
        assert one.stderr is not None
        one.stdin.write(lines_of(1500))
        one.stdin.flush()
        deadline = time.monotonic() + 20
        while not diptych("event-store", "stream", "--limit", "1").out and time.monotonic() < deadline:
            time.sleep(0.05)
        one.send_signal(how)
        said = one.stderr.read()
        assert one.wait(20) == code
    if how is signal.SIGINT:
        assert "stopped. The lines up to 1,000 are imported. Give the same command again: it goes on there." in said
    [done] = diptych(*words, "--json").lines()
    assert (done["imported"], done["before"]) == (1500, 1000)


async def test_others_append_meanwhile_and_wait_for_a_batch_at_most(words: list[str], folder: Path) -> None:
    (folder / "old.ndjson").write_text(lines_of(20_000))
    async with opened_log(folder / "new.db") as log:
        importing = await asyncio.create_subprocess_exec(*IMPORT, "old.ndjson", env=environment(), stderr=DEVNULL)
        waited: list[float] = []
        while importing.returncode is None:
            began = time.monotonic()
            await log.append(new_append("order-live"))
            waited.append(time.monotonic() - began)
            await asyncio.sleep(0.01)
        assert importing.returncode == 0
        assert (await log.head()).position == 20_000 + len(waited)
        assert max(waited) < 3, "no import keeps the lock for itself"
