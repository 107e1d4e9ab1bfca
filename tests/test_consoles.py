from pathlib import Path

import pytest

from tests.consoles import AddToFile, Command, same, steps
from tests.terminal import terminal


def test_a_document_is_read_as_steps(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Put this:\n\n<!-- file: a.py -->\n```python\nx = 1\n```\n\n"
        "```console\n$ cat a.py   # what is in it\nx = 1\n$ true\n```\n\n```python\nnot = a.step\n```\n"
    )

    assert list(steps(page)) == [AddToFile("a.py", "x = 1\n"), Command("cat a.py", "x = 1\n"), Command("true", None)]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a\n", "a"),
        ("...\nb\n", "a\n\nb\n"),
        ("a\n...\n", "a\nb\nc\n"),
        ("at 2026-01-31T12:00:00.000Z", "at 2027-02-28T13:01:01.001Z"),
        ('"4fd6820002fa0d55.1"', '"aaaaaaaaaaaaaaaa.27"'),
        ("6 passed in 0.05s", "6 passed in 1.23s"),
    ],
)
def test_what_differs_from_run_to_run_is_the_same(shown: str, printed: str) -> None:
    assert same(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"), [("a\n", "b\n"), ("a\n", "a\nb\n"), ("6 passed", "7 passed"), ("a.c", "abc")]
)
def test_other_words_are_not_the_same(shown: str, printed: str) -> None:
    assert not same(shown, printed)


def test_a_terminal_keeps_its_folder_and_its_variables(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with terminal(tmp_path) as typing:
        typing.run("cd inside; WORD=rye")

        assert typing.run("echo $WORD") == ("rye\n\n", 0)
        assert typing.folder == tmp_path / "inside"
        assert typing.run("no-such-command").code == 127
