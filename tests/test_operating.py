"""The operator's page is followed to the letter: with real workers, which are stopped and killed as it says."""

import re
import sys
import time
from pathlib import Path

from tests.consoles import AddToFile, Command, same, steps
from tests.terminal import Printed, Terminal, terminal

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "operating-projections.md"

DIFFERS = [
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:]+\+00:00"), "TIME"),
    (re.compile(r", [\d,]+/s$", re.MULTILINE), ""),  # of what was over at once there is none
    (re.compile(r"\b[\d,]+/s"), "RATE"),
    (re.compile(r"\b\d+\.\d\b"), "SECONDS"),
    (re.compile(r"(?<=  )\S+:\d+$", re.MULTILINE), "WORKER"),
    (re.compile(r"^\[\d+\].*\n", re.MULTILINE), ""),  # bash's word on its jobs
    (re.compile(r" +"), " "),
]
"""What differs from run to run, and from machine to machine."""

PATIENCE = 15
"""Seconds until a worker has done what the page shows of it."""


def told(text: str) -> str:
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    return text


def printed(typing: Terminal, step: Command) -> Printed:
    """What the command prints. One that only looks is typed again until it shows what workers are about to do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        printed = typing.run(step.typed)
        looks = " status" in step.typed or " letters" in step.typed
        if not looks or same(told(step.shown or ""), told(printed.text)) or time.monotonic() > deadline:
            return printed
        time.sleep(0.1)


def test_an_operator_who_types_what_the_page_says_sees_what_it_shows(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "diptych"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m diptych "$@"\n')
    command.chmod(0o755)
    with terminal(tmp_path) as typing:
        typing.run(f"unset -f diptych; PATH={command.parent}:$PATH; set -m; trap 'kill $(jobs -p)' EXIT")
        typed: list[str] = []
        for step in steps(PAGE):
            match step:
                case AddToFile(name, text):
                    with (typing.folder / name).open("a") as file:
                        file.write(f"\n\n{text}")
                case Command(line, shown):
                    text, code = printed(typing, step)
                    assert shown is None or same(told(shown), told(text)), f"$ {line}\n{text}"
                    assert code in (0, 1), f"$ {line}\n{text}"
                    typed.append(line)

    assert [line for line in typed if line.startswith("kill")] == ["kill %1; wait", "kill %1; wait", "kill -9 %1"]
