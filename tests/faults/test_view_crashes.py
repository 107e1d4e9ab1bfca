"""Fault 9: a crash between a view's rows and its checkpoint."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.shop import ShipOrder, order, shop
from tests.faults.tools import ROOT, check_whole, token_at, url_of

CRASH = """
import asyncio, os, sys
from pathlib import Path
from diptych.stores.sqlite.views import SqliteViews
from tests.app.shop import shop
from tests.faults.tools import token_at, url_of

class Crashing:
    def __init__(self, connection, at):
        self.connection, self.at = connection, at
    def __getattr__(self, name):
        return getattr(self.connection, name)
    def step(self, name):
        if name == self.at and self.connection.in_transaction:
            os.write(1, b"crashed")
            os._exit(9)
    def execute(self, sql, *binds):
        if sql == "COMMIT":
            self.step("before commit")
        result = self.connection.execute(sql, *binds)
        if sql.startswith("UPDATE") and "SET position" in sql:
            self.step("after checkpoint")
        return result
    def executemany(self, sql, rows):
        result = self.connection.executemany(sql, rows)
        self.step("after rows")
        return result

commit = SqliteViews.commit
async def crashing_commit(self, shape, changes, at, upto):
    if not isinstance(self._writer, Crashing) and changes:
        self._writer = Crashing(self._writer, sys.argv[2])
    return await commit(self, shape, changes, at, upto)
SqliteViews.commit = crashing_commit

async def main():
    async with shop.open(url_of(Path(sys.argv[1]))) as app:
        await app.caught_up(token_at(app, 30))
asyncio.run(main())
"""


@pytest.mark.parametrize("at", ["after checkpoint", "after rows", "before commit"])
async def test_9_a_crash_between_the_rows_and_the_checkpoint_leaves_the_view_a_fold_of_the_log(
    path: Path, at: str
) -> None:
    async with shop.open(url_of(path)) as app:
        for number in range(10):
            await app.execute(order(f"{number}"))
        await app.caught_up(token_at(app, 10))
    async with shop.open(url_of(path)) as app:
        for number in range(10):
            await app.execute(ShipOrder(order_id=f"{number}"))
            await app.execute(order(f"more-{number}"))
    forget(path)

    for _ in range(3):
        crashed = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", CRASH, str(path), at], cwd=ROOT, capture_output=True, check=False
        )
        assert (crashed.stdout, crashed.returncode) == (b"crashed", 9), crashed.stderr

    async with shop.open(url_of(path)) as app:
        assert len(await check_whole(app)) == 30


def forget(path: Path) -> None:
    """The views are back at the log's beginning."""
    for file in path.parent.glob("shop.views.db*"):
        file.unlink()
