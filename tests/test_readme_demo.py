"""README's lines for the served demo are those that the demo itself prints."""

import re
from pathlib import Path

import pytest

from diptych.cli.demo import invite

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_lines_to_try_the_demo_with_are_those_that_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    invite("http://127.0.0.1:8000")
    printed = re.findall(r"^  ((?:token=|curl ).*)$", capsys.readouterr().out, re.MULTILINE)

    assert re.findall(r"^\$ ((?:token=|curl ).*)$", README, re.MULTILINE)[:3] == printed
