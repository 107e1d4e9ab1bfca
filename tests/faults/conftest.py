"""Faults are made to happen: held locks, killed and stopped processes, full disks, lost bytes."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"
