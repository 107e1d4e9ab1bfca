from collections.abc import Callable
from pathlib import Path

import pytest

from diptych.config import read

Problems = Callable[[str | bytes], list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, without a diptych.yaml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def problems(folder: Path) -> Problems:
    """Everything that is wrong with a diptych.yaml of this content."""

    def found(content: str | bytes) -> list[str]:
        (folder / "diptych.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read(None, {}, {}).problems)

    return found
