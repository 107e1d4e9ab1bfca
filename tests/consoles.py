"""Follows a document to the letter in a shell: its files are written, its commands run, its output compared.

`<!-- file: NAME -->` stands before each block that goes to the end of a file. A `console` block shows commands, each
after `$ `, and their output; a line `...` stands for any lines. Ids, tokens, times and durations may differ.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILE_OR_CONSOLE = re.compile(
    r"^<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<text>.*?)^```$|^```console\n(?P<console>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
VARYING = [
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{16}\.\d+\b"), "TOKEN"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[0-9:.]+Z"), "TIME"),
    (re.compile(r"\bin \d+\.\d\ds\b"), "in TIME"),
]


class AddToFile(NamedTuple):
    """A block that goes to the end of a file."""

    name: str
    text: str


class Command(NamedTuple):
    """A command as it is typed, and what it prints; None where nothing is shown of it."""

    typed: str
    shown: str | None


def steps(document: Path) -> Iterator[AddToFile | Command]:
    """What the document says to do, in its order."""
    for block in FILE_OR_CONSOLE.finditer(document.read_text("utf-8")):
        if block["file"] is not None:
            yield AddToFile(block["file"], block["text"])
            continue
        for typed in re.split(r"^\$ ", block["console"], flags=re.MULTILINE)[1:]:
            command, _, output = typed.partition("\n")
            yield Command(command.partition("  #")[0].rstrip(), output or None)


def same(shown: str, printed: str) -> bool:
    """Whether a command printed what the document shows."""
    parts = [re.escape(part) for part in re.split(r"^\.\.\.\n", settled(shown), flags=re.MULTILINE)]
    return re.fullmatch(r"(?:.*\n)*".join(parts), settled(printed)) is not None


def settled(text: str) -> str:
    """The text with what differs from run to run replaced, and one line's end at its end."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text.rstrip() + "\n"
