"""The tutorial and what builds on it are followed to the letter: each command succeeds, and prints what is shown."""

import re
from importlib.resources import files
from pathlib import Path

from tests.consoles import AddToFile, Command, same, steps
from tests.terminal import Terminal, terminal

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL = DOCS / "tutorial.md"


def add_to_file(typing: Terminal, step: AddToFile) -> None:
    """At the file's end. A later definition of the context replaces the first, as it does in the text."""
    file = typing.folder / step.name
    text = file.read_text("utf-8")
    if step.name.startswith("tests/"):
        text = text.replace("    items,\n", "    Demand,\n    demand,\n    items,\n", 1)
    file.write_text(f"{text}\n\n{step.text}", "utf-8")


def follow(typing: Terminal, document: Path) -> list[str]:
    """Does what the document says. Gives the commands."""
    typed: list[str] = []
    for step in steps(document):
        match step:
            case AddToFile():
                add_to_file(typing, step)
            case Command(command, shown):
                printed = typing.run(command)
                assert printed.code == 0, f"$ {command}\n{printed.text}"
                assert shown is None or same(shown, printed.text), f"$ {command}\n{printed.text}"
                typed.append(command)
    return typed


def test_the_tutorial_does_what_it_shows_and_so_do_the_guides_that_go_on_from_it(tmp_path: Path) -> None:
    with terminal(tmp_path) as typing:
        typed = follow(typing, TUTORIAL)
        follow(typing, DOCS / "guide" / "monitoring.md")
        follow(typing, DOCS / "guide" / "backups.md")

    assert [command.partition(" ")[0] for command in typed].count("curl") >= 6


def test_the_tutorial_quotes_the_module_that_is_made_whole_and_in_order() -> None:
    made = files("diptych.cli.new").joinpath("scaffold", "NAME.py.in").read_text("utf-8").replace("NAME", "bakery")
    shown, _, _ = TUTORIAL.read_text("utf-8").partition("## 3. Test it")
    quoted = "\n".join(re.findall(r"^```python\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL))

    assert [line for line in quoted.splitlines() if line] == [
        line for line in made.splitlines() if line and not line.startswith("# --- ")
    ]


def test_the_curl_lines_of_a_made_project_work_as_they_stand_there(tmp_path: Path) -> None:
    with terminal(tmp_path) as typing:
        typing.run("diptych new bakery && cd bakery")
        typed = follow(typing, typing.folder / "README.md")

    assert [command for command in typed if "curl" in command]
