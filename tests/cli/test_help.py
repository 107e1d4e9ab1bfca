import json
import subprocess
import sys

import pytest

from tests.cli.running import Diptych

COMMANDS = [
    "check",
    "event-store stream",
    "event-store replay",
    "event-store append",
    "projection status",
    "projection rebuild",
    "projection pause",
    "projection resume",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(diptych: Diptych, command: str) -> None:
    ran = diptych(*command.split(), "--help")

    assert ran.code == 0
    assert f" diptych {command} " in ran.out.partition("Usage: ")[2].partition("\n")[2]
    for words in ("--json", "--store", "DIPTYCH_STORE"):
        assert words in ran.out


def test_help_imports_neither_a_store_nor_the_demo() -> None:
    code = "import json, sys; from diptych.cli import main; main(['--version']); print(json.dumps(list(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert loaded & {"diptych.stores.sqlite", "diptych.http", "diptych.demo"} == set()
