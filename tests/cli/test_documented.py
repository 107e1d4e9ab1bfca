"""Every command and every option of the command line is on its page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from diptych.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
COMMON = {"--help", "-h", "--version"}


def commands(parent: App, path: tuple[str, ...] = ("diptych",)) -> Iterator[tuple[str, App]]:
    for name in parent:
        if name in COMMON:
            continue
        child = parent[name]
        if child.default_command is not None:
            yield " ".join((*path, name)), child
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(app))


def section(command: str) -> str:
    found = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, command
    return found[1]


def test_the_page_has_a_section_on_every_command_and_on_no_other() -> None:
    assert set(re.findall(r"^## (diptych .+)$", PAGE, re.MULTILINE)) == set(COMMANDS)
    assert "diptych event-store stream" in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_section_has_all_its_options(command: str) -> None:
    options = {
        name
        for argument in COMMANDS[command].assemble_argument_collection()
        for name in argument.names
        if name.startswith("--")
    }
    missing = {name for name in options if name not in section(command)}

    assert missing - ({"--target"} if "[TARGET]" in section(command) else set()) == set()
