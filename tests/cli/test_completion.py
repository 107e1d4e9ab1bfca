"""Completion: the script that is installed completes what there is, and says where it went."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cyclopts import completion

from tests.cli.running import Diptych


@pytest.fixture(autouse=True)
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is nobody's, and no settings of zsh."""
    home = folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("ZSH", "ZSH_CUSTOM"):
        monkeypatch.delenv(name, raising=False)
    return home


def in_bash(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    typed = " ".join(f"'{word}'" for word in words)
    code = f". '{script}'; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _diptych; echo ${{COMPREPLY[@]}}"
    return set(subprocess.run([bash, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_bash_completes_commands_and_options(diptych: Diptych, folder: Path) -> None:
    ran = diptych("--install-completion", "--shell", "bash", "--output", "script")

    assert (ran.code, ran.out) == (0, f"Completion for bash is in {folder / 'script'}\n")
    assert {"check", "demo", "event-store", "new", "projection"} <= in_bash(folder / "script", "diptych", "")
    assert in_bash(folder / "script", "diptych", "event-store", "re") == {"replay"}
    assert in_bash(folder / "script", "diptych", "event-store", "stream", "--fo") == {"--follow"}


def test_a_script_that_is_put_elsewhere_touches_nothing_else(diptych: Diptych, home: Path) -> None:
    diptych("--install-completion", "--shell", "zsh", "--output", "script")

    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("shell", "script", "settings"),
    [
        ("bash", ".local/share/bash-completion/completions/diptych", ".bashrc"),
        ("fish", ".config/fish/completions/diptych.fish", None),
        ("zsh", ".zsh/completions/_cyclopts_diptych", ".zshrc"),
    ],
)
def test_each_shell_has_its_place(diptych: Diptych, home: Path, shell: str, script: str, settings: str | None) -> None:
    ran = diptych("--install-completion", "--shell", shell, "--json")

    assert json.loads(ran.out) == {"shell": shell, "script": str(home / script)}
    assert "diptych" in (home / script).read_text()
    if settings is not None:
        assert str((home / script).parent) in (home / settings).read_text()


def test_the_calling_shell_is_the_one(diptych: Diptych, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "detect_shell", lambda: "fish")

    assert "this one does after: exec fish" in diptych("--install-completion").out


def test_a_shell_that_cannot_be_told_is_asked_for(diptych: Diptych, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise completion.ShellDetectionError

    monkeypatch.setattr(completion, "detect_shell", unknown)
    ran = diptych("--install-completion")

    assert (ran.code, ran.err) == (2, "diptych: which shell? Say --shell bash, --shell fish or --shell zsh\n")


def test_a_place_that_cannot_be_written_is_an_error_with_words(diptych: Diptych, folder: Path) -> None:
    (folder / "file").touch()
    ran = diptych("--install-completion", "--shell", "bash", "--output", "file/script")

    assert ran.code == 1
    assert "Name another place with --output" in ran.err
