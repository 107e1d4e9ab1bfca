import json
import re
import subprocess
import sys

import pytest

from tests.cli.running import Diptych
from tests.cli.test_documented import COMMANDS

GROUPS = ["", "event-store", "projection"]


@pytest.mark.parametrize("command", [*GROUPS, *(name.removeprefix("diptych ") for name in COMMANDS)])
def test_help_teaches_with_an_example_and_fits_a_terminal(
    diptych: Diptych, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ran = diptych(*command.split(), "--help")

    assert ran.code == 0
    assert f"\n diptych {command}".rstrip() in ran.out.replace("\n  diptych", "\n diptych")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert not re.search(r"--[a-z-]+ (STR|INT|PATH)\b", ran.out)  # each value says what it is
    if command not in GROUPS:
        assert "--json" in ran.out


@pytest.mark.parametrize("command", ["check", "event-store stream", "event-store append", "projection status"])
def test_help_names_the_environment_that_stands_for_an_option(diptych: Diptych, command: str) -> None:
    assert "DIPTYCH_STORE" in diptych(*command.split(), "--help").out.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("nope", "diptych"),
        ("event-store strem", "diptych event-store"),
        ("event-store stream --limit many", "diptych event-store stream"),
        ("projection pause", "diptych projection pause"),
    ],
)
def test_wrong_use_names_the_help_that_helps(diptych: Diptych, words: str, command: str) -> None:
    ran = diptych(*words.split())
    assert ran.code == 2
    assert ran.err.endswith(f"Try: {command} --help\n")


def test_help_imports_neither_a_store_nor_the_demo() -> None:
    code = "import json, sys; from diptych.cli import main; main(['--version']); print(json.dumps(list(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert loaded & {"diptych.stores.sqlite", "diptych.http", "diptych.demo"} == set()
