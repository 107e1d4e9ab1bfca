"""README promises that its files run as they stand there and print what it shows: here they are followed to the letter.

`<!-- file: NAME -->` stands before each block that belongs into a file; a `console` block shows a command
and its output.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
FILE = re.compile(r"^<!-- file: (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n\$ (.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A folder with the files of the README, complete."""
    for name, text in FILE.findall(README):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(text + "\n\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    foreign = ("PYTHON", "PYTEST", "COV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def shown(command: str) -> str:
    """What README shows as the output of a command."""
    return str(dict(CONSOLE.findall(README))[command])


def events_in(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "shop.db")) as log:
        return int(log.execute("SELECT count(*) FROM event").fetchone()[0])


def test_the_example_prints_what_readme_shows(hello: Path) -> None:
    assert run(hello, "try_shop.py") == shown("python try_shop.py")
    assert run(hello, "try_customers.py") == shown("python try_customers.py")


def test_the_example_run_again_appends_nothing_and_finds_the_order_shipped(hello: Path) -> None:
    run(hello, "try_shop.py")
    before = events_in(hello)

    again = run(hello, "try_shop.py")

    assert again == shown("python try_shop.py").replace("15.00 placed", "15.00 shipped")
    assert events_in(hello) == before == 2


def test_the_example_is_served_as_readme_says(hello: Path) -> None:
    words = ["-m", "diptych", "serve", "shop:shop", "--port", "0", "--json"]
    with subprocess.Popen([sys.executable, *words], cwd=hello, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            lines = re.search(r"^\$ (token=.*\n)\$ (curl .*)\n(.*)\n```$", README, re.MULTILINE)
            assert lines is not None
            script = (lines[1] + lines[2]).replace("http://127.0.0.1:8000", url)
            asked = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
        finally:
            server.terminate()
    assert (asked.stdout, asked.stderr) == (lines[3], "")


def test_the_tests_of_the_example_pass(hello: Path) -> None:
    output = run(hello, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:asyncio")

    assert "4 passed" in output
    assert "4 passed" in shown("pytest --quiet")
