"""What operators do with a projection works for one into tables of its own; what cannot work says why."""

import asyncio
from pathlib import Path

import pytest

from tests.cli.conftest import diptych, folder
from tests.cli.running import Diptych
from tests.tables.checks import applied, sell
from tests.tables.takings import Taken, broken, takings

__all__ = ["diptych", "folder"]  # the fixtures of the command line


@pytest.fixture
def parked(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Events 2 and 4 wait for till b; store and context are named by the environment."""
    monkeypatch.setenv("DIPTYCH_STORE", url)
    monkeypatch.setenv("DIPTYCH_TARGET", "tests.tables.takings:takings")

    async def fill() -> None:
        async with takings.open(url) as app:
            broken.add("b")
            await sell(app, [("a", 1), ("b", 2), ("c", 3), ("b", 4)])
            await applied(app)

    asyncio.run(fill())
    return url


def taken(url: str) -> dict[str, int]:
    async def ask() -> dict[str, int]:
        async with takings.open(url, projectors=False) as app:
            return await app.ask(Taken())

    return asyncio.run(ask())


def test_letters_are_shown_retried_and_skipped(diptych: Diptych, parked: str) -> None:
    ran = diptych("projection", "letters", "Takings")
    assert ran.out.splitlines()[2:4] == [
        "Stream till-b: event 2, Sold, and 1 behind it",
        "  RuntimeError: till b is broken",
    ]
    assert "Takings" in (status := diptych("projection", "status", "Takings")).out
    assert status.code in (0, 1)

    assert diptych("projection", "retry", "Takings").code == 1
    broken.clear()
    skipped = diptych("projection", "skip", "Takings", "--position", "2", "--stream", "till-b", "--because", "a test")
    assert (skipped.code, skipped.err) == (0, "")
    assert diptych("projection", "retry", "Takings").code == 0
    assert taken(parked) == {"a": 1, "b": 4, "c": 3}


def test_it_is_paused_resumed_rebuilt_and_what_is_kept_is_dropped(diptych: Diptych, parked: str) -> None:
    assert diptych("projection", "pause", "Takings", "--because", "a test").code == 0
    assert diptych("projection", "rebuild", "Takings").code == 1
    assert diptych("projection", "resume", "Takings").code == 0
    broken.clear()
    ran = diptych("projection", "rebuild", "Takings", "--keep")
    assert ran.out.startswith("Takings is rebuilt: generation 2 is live, 4 events in ")
    assert taken(parked) == {"a": 1, "b": 6, "c": 3}
    assert diptych("projection", "drop", "Takings", "--generation", "1").code == 0
    assert diptych("projection", "cancel", "Takings").code == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("audit", "Takings"), "what its SQL makes of the log is known to the store alone; rebuild it"),
        (("rebuild", "Takings", "--dry-run"), "what its SQL makes of the log is known to the store alone"),
        (("divide", "Takings", "--segments", "2"), "its SQL may touch any row, so it has one segment"),
        (("rebuild", "Takings", "--workers", "2"), "its SQL may touch any row, so one worker fills it"),
        (("rebuild", "Takings", "--from-timestamp", "2026-01-01"), "Takings cannot be rebuilt from a time"),
    ],
)
def test_what_cannot_be_done_with_tables_says_why(
    diptych: Diptych,
    parked: str,
    words: tuple[str, ...],
    reason: str,
) -> None:
    ran = diptych("projection", *words)
    assert ran.code in (1, 2)
    assert reason in ran.err
    assert ran.err.count("\n") == 1


def test_check_lists_its_tables(diptych: Diptych, parked: str) -> None:
    assert "  view       Takings  tables takings, sales\n" in diptych("check", "tests.tables.takings:takings").out
