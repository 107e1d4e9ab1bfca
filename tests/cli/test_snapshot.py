import asyncio
from pathlib import Path

import pytest

from tests.app.test_snapshots import filled, kept, length
from tests.cli.running import Diptych

SHOPPING = "tests.app.test_snapshots:shopping"
ORDERS_WITHOUT = """
from collections.abc import Iterator
from diptych import Aggregate, BoundedContext, never
from tests.app.test_snapshots import Add, Added

lists = Aggregate("list", id="list_id", initial=0, snapshots=never)

@lists.decide
def add(state: int, command: Add) -> Iterator[Added]:
    yield Added(list_id=command.list_id, item=command.item)

@lists.evolve
def added(state: int, event: Added) -> int:
    return state

shopping = BoundedContext("shopping", aggregates=[lists])
"""


@pytest.fixture
def list_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A list of seven items, and its snapshot; store and context are named by the environment."""
    url = f"sqlite:///{folder / 'lists.db'}"
    for first, last in ((0, 3), (3, 6), (6, 7)):
        asyncio.run(filled(url, first, last))
    monkeypatch.setenv("DIPTYCH_STORE", url)
    monkeypatch.setenv("DIPTYCH_TARGET", SHOPPING)
    return url


def test_snapshots_are_made_anew_from_the_log(diptych: Diptych, list_store: str) -> None:
    assert asyncio.run(kept(list_store)) == 6
    ran = diptych("snapshot", "rebuild", "list")

    assert ran.code == 0
    assert ran.out.startswith("Snapshots of list: 1 made, of 1 streams, in ")
    assert ran.err.splitlines()[-1].startswith("Events: 7 of 7 (100%)")
    assert asyncio.run(kept(list_store)) == 7


def test_a_rebuild_as_json_is_one_object(diptych: Diptych, list_store: str) -> None:
    [rebuilt] = diptych("snapshot", "rebuild", "list", "--json").lines()

    assert rebuilt.pop("seconds") >= 0
    assert rebuilt == {"aggregate": "list", "streams": 1, "snapshots": 1}


def test_snapshots_are_deleted_and_nothing_else_changes(diptych: Diptych, list_store: str) -> None:
    ran = diptych("snapshot", "delete", "list")

    assert (ran.code, ran.out) == (0, "Snapshots of list: 1 deleted.\n")
    assert asyncio.run(kept(list_store)) == 0
    assert asyncio.run(length(list_store)) == 7
    assert diptych("snapshot", "delete", "list", "--json").lines() == [{"aggregate": "list", "deleted": 0}]


@pytest.mark.parametrize("how", ["option", "variable", "file"])
def test_they_are_looked_for_where_an_option_or_a_setting_says(
    diptych: Diptych, list_store: str, folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    elsewhere = f"file://{folder}/elsewhere"
    options = ["--snapshots", elsewhere] if how == "option" else []
    if how == "variable":
        monkeypatch.setenv("DIPTYCH_CQRS_COMMAND_SIDE_SNAPSHOT_STORAGE", elsewhere)
    if how == "file":
        (folder / "diptych.yaml").write_text(f"cqrs:\n  command_side:\n    snapshot:\n      storage: {elsewhere}\n")

    assert diptych("snapshot", "rebuild", "list", *options).code == 0
    assert [file.parent.name for file in (folder / "elsewhere").rglob("*") if file.is_file()] == ["list"]
    assert diptych("snapshot", "delete", "list", *options).out == "Snapshots of list: 1 deleted.\n"
    assert asyncio.run(kept(list_store)) == 6


def test_an_aggregate_that_is_not_there_is_wrong_use(diptych: Diptych, list_store: str) -> None:
    for command in ("rebuild", "delete"):
        ran = diptych("snapshot", command, "lst")
        assert ran.code == 2
        assert "context 'shopping' has no aggregate 'lst'; did you mean 'list'?" in ran.err


def test_an_aggregate_without_snapshots_is_told_so(diptych: Diptych, list_store: str, folder: Path) -> None:
    (folder / "without.py").write_text(ORDERS_WITHOUT)
    ran = diptych("snapshot", "rebuild", "list", "--target", "without:shopping")

    assert ran.code == 1
    assert "aggregate 'list' has no snapshots: it says snapshots=never" in ran.err
    assert diptych("snapshot", "delete", "list", "--target", "without:shopping").code == 0


def test_a_state_that_cannot_be_kept_ends_a_rebuild_with_1(diptych: Diptych, list_store: str, folder: Path) -> None:
    wrong = ORDERS_WITHOUT.replace("return state", "return 1.5").replace("never)", "lambda *_: True)")
    (folder / "wrong.py").write_text(wrong)
    ran = diptych("snapshot", "rebuild", "list", "--target", "wrong:shopping")

    assert ran.code == 1
    assert "The state of list-1 cannot be kept" in ran.err


def test_a_place_that_is_none_is_wrong_use(diptych: Diptych, list_store: str) -> None:
    ran = diptych("snapshot", "delete", "list", "--snapshots", "shop.db")

    assert ran.code == 2
    assert "'shop.db' is no place for snapshots; say file:///var/lib/shop" in ran.err


@pytest.mark.parametrize("command", ["rebuild", "delete"])
def test_another_contexts_log_is_left_alone(diptych: Diptych, list_store: str, folder: Path, command: str) -> None:
    (folder / "another.py").write_text(
        ORDERS_WITHOUT.replace('"shopping"', '"another"').replace(", snapshots=never", "")
    )
    ran = diptych("snapshot", command, "list", "--target", "another:shopping")

    assert ran.code == 3
    assert "has the log of bounded context 'shopping', and not of 'another'" in ran.err
    assert asyncio.run(kept(list_store)) == 6
