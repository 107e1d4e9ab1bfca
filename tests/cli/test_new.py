"""`diptych new`: what it makes passes its own checks and serves; what it cannot make, it leaves no trace of."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st

from diptych import __version__
from diptych.cli.new import project, requirement
from diptych.cli.new.names import alternative, objection
from diptych.cli.new.requirement import Origin, Vcs, required
from diptych.http import Gateway
from tests.cli.running import Diptych
from tests.privileges import in_a_folder_that_is_read_only

LONG = "a_name_of_forty_characters_has_this_size"
FILES = [".gitignore", "Makefile", "README.md", "bakery.py", "pyproject.toml", "tests/test_bakery.py"]


def check(folder: Path, *command: str) -> str:
    """Runs a tool of this environment in the project, as `make test` runs its own."""
    foreign = ("PYTEST", "COV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["bakery", "z", LONG])
def test_what_was_made_passes_its_own_checks(diptych: Diptych, folder: Path, name: str) -> None:
    assert diptych("new", name).code == 0

    made = folder / name
    check(made, "ruff", "check", "--no-cache")
    check(made, "ruff", "format", "--check", "--no-cache")
    assert "6 passed" in check(made, "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio")
    check(made, "mypy", "--cache-dir", os.devnull)


def test_make_test_runs_what_is_tested_here(diptych: Diptych, folder: Path) -> None:
    diptych("new", "bakery")

    recipe = (folder / "bakery" / "Makefile").read_text().partition("\ntest:")[2].partition("\n\n")[0]
    assert re.findall(r"@\$\(BIN\)/(.+)", recipe) == ["ruff check", "ruff format --check", "mypy", "pytest"]


async def test_what_was_made_serves_a_command_and_a_query(folder: Path) -> None:
    project.make_project(folder, "bakery", "diptych[http]")
    sys.path.insert(0, str(folder / "bakery"))
    gateway = Gateway(importlib.import_module("bakery").bakery, "memory://")

    async with gateway.lifespan(), AsyncClient(transport=ASGITransport(gateway), base_url="http://bakery") as client:
        url = "/bakery/commands/ReceiveItems"
        receipt = await client.post(url, json={"item_id": "rye", "quantity": 10})
        after = {"Diptych-After": receipt.headers["diptych-token"]}
        levels = await client.get("/bakery/queries/InStock", params={"at_least": 1}, headers=after)
        refused = await client.post("/bakery/commands/TakeItems", json={"item_id": "rye", "quantity": 11})

    assert levels.json() == [{"item_id": "rye", "on_hand": 10}]
    assert (refused.status_code, refused.json()["code"]) == (422, "not-enough")


def test_it_says_what_it_made_and_what_comes_next(diptych: Diptych) -> None:
    ran = diptych("new", "bakery")

    assert all(f"  bakery/{file}\n" in ran.out for file in FILES)
    for words in ("  cd bakery\n", "  make test ", "  make serve "):
        assert words in ran.out


def test_it_says_the_same_as_json(diptych: Diptych, folder: Path) -> None:
    made = json.loads(diptych("new", "bakery", "--json").out)

    assert (made["name"], made["folder"], made["target"]) == ("bakery", str(folder / "bakery"), "bakery:bakery")
    assert made["files"] == FILES
    assert made["requirement"] == requirement.requirement()


def test_a_project_is_readable_as_any_new_folder_is(diptych: Diptych, folder: Path) -> None:
    (folder / "other").mkdir()
    diptych("new", "bakery")

    assert (folder / "bakery").stat().st_mode == (folder / "other").stat().st_mode


def test_nothing_is_left_of_the_scaffold_s_words(diptych: Diptych, folder: Path) -> None:
    diptych("new", "bakery")

    for file in FILES:
        assert not re.search("NAME|REQUIREMENT", (folder / "bakery" / file).read_text())


@pytest.mark.parametrize(
    ("name", "reason", "instead"),
    [
        ("My-Bakery", "lower-case", "my_bakery"),
        ("RyeAndOats", "lower-case", "rye_and_oats"),
        ("2fast", "begins with a letter", "fast"),
        ("Bäckerei", "lower-case", "backerei"),
        ("面包店", "lower-case", "bakery"),
        ("", "lower-case", "bakery"),
        (".", "lower-case", "bakery"),
        ("../bakery", "lower-case", "bakery"),
        ("bread/rye/", "lower-case", "rye"),
        ("_rye_", "lower-case", "rye"),
        ("class", "word of Python", "class_service"),
        ("match", "word of Python", "match_service"),
        ("email", "hide Python's own", "email_service"),
        ("diptych", "the project uses it", "diptych_service"),
        ("tests", "the project uses it", "tests_service"),
        ("starlette", "one that is installed", "starlette_service"),
        ("prometheus_client", "one that is installed", "prometheus_client_service"),
        ("items", "uses the word", "items_service"),
        ("dataclass", "uses the word", "dataclass_service"),
        (LONG + "s", "at most 40", "a_name_of_forty_characters_has_t"),
    ],
)
def test_a_name_that_does_not_go_is_refused_with_one_that_does(
    diptych: Diptych, folder: Path, name: str, reason: str, instead: str
) -> None:
    ran = diptych("new", name)

    assert ran.code == 2
    assert reason in ran.err
    assert ran.err.endswith(f": diptych new {instead}\n")
    assert list(folder.iterdir()) == []
    assert diptych("new", instead).code == 0


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_/-]{0,60}", fullmatch=True))
def test_the_name_that_is_said_instead_always_goes(name: str) -> None:
    assert objection(alternative(name)) is None


def test_an_empty_folder_is_filled(diptych: Diptych, folder: Path) -> None:
    (folder / "bakery").mkdir()

    assert diptych("new", "bakery").code == 0
    assert (folder / "bakery" / "bakery.py").exists()


@pytest.mark.parametrize("kind", ["full", "file", "link", "dangling"])
def test_what_is_in_the_way_stays_as_it_is(diptych: Diptych, folder: Path, kind: str) -> None:
    place, inside = folder / "bakery", folder / "elsewhere"
    match kind:
        case "full":
            place.mkdir()
            (place / "recipe").write_text("rye")
        case "file":
            place.write_text("rye")
        case "link":
            inside.mkdir()
            place.symlink_to(inside)
        case _:
            place.symlink_to(inside)
    before = sorted(folder.rglob("*"))

    ran = diptych("new", "bakery")

    assert ran.code == 2
    assert "exists already" in ran.err
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_takes_no_files_is_named(diptych: Diptych, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_a_folder_that_is_read_only() as parent:
        monkeypatch.chdir(parent)
        ran = diptych("new", "bakery")
        monkeypatch.undo()

    assert ran.code == 1
    assert ran.err.startswith(f"diptych: {parent / 'bakery'} cannot be made: Permission denied.")


def test_where_the_disk_is_full_nothing_half_made_is_left(
    diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def write(*_: object) -> str:
        written.append("file")
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        return "file"

    monkeypatch.setattr(project, "write", write)
    ran = diptych("new", "bakery")

    assert ran.code == 1
    assert "No space left on device" in ran.err
    assert list(folder.iterdir()) == []


def test_whoever_is_slower_than_another_touches_nothing(
    diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = project.write

    def writing(building: Path, path: PurePosixPath, text: str) -> str:
        (folder / "bakery").mkdir(exist_ok=True)
        (folder / "bakery" / "recipe").write_text("rye")
        return write(building, path, text)

    monkeypatch.setattr(project, "write", writing)
    ran = diptych("new", "bakery")

    assert (ran.code, "exists already" in ran.err) == (2, True)
    assert [path.name for path in folder.rglob("*")] == ["bakery", "recipe"]


def test_a_note_of_where_diptych_came_from_that_cannot_be_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreadable:
        def read_text(self, _: str) -> str:
            return "{"

    monkeypatch.setattr(requirement, "distribution", lambda _: Unreadable())

    assert requirement.requirement() == f"diptych[http]>={__version__}"


@pytest.mark.parametrize(
    ("origin", "needed"),
    [
        (None, f"diptych[http]>={__version__}"),
        (Origin("file:///gone/diptych.whl"), f"diptych[http]>={__version__}"),
        (Origin("file:///"), "diptych[http] @ file:///"),
        (Origin("https://example.org/diptych.whl"), "diptych[http] @ https://example.org/diptych.whl"),
        (
            Origin("https://example.org/d.git", Vcs("git", "abc123"), "python"),
            "diptych[http] @ git+https://example.org/d.git@abc123#subdirectory=python",
        ),
    ],
)
def test_the_project_gets_diptych_from_where_this_one_came_from(origin: Origin | None, needed: str) -> None:
    assert required(origin) == needed
