import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diptych.cli import main
from tests.app.shop import ShipOrder, order, shop
from tests.cli.running import Ran

SHOP = "tests.app.shop:shop"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in os.environ if name.startswith("DIPTYCH_")]:
        monkeypatch.delenv(name)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def diptych(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in the folder."""
    assert folder == Path.cwd()

    def run(*words: str) -> Ran:
        code = main(words)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three events of two orders, and views that have them; store and context are named by the environment."""
    url = f"sqlite:///{folder / 'shop.db'}"

    async def fill() -> None:
        async with shop.open(url) as app:
            await app.execute(order("1"), actor="ann")
            await app.execute(order("2"))
            receipt = await app.execute(ShipOrder(order_id="1"))
            await app.caught_up(receipt.token)

    asyncio.run(fill())
    monkeypatch.setenv("DIPTYCH_STORE", url)
    monkeypatch.setenv("DIPTYCH_TARGET", SHOP)
    return url
