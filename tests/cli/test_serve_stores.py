"""What `diptych serve` does about the tables of its store, and about what it finds in them."""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.schema import MIGRATIONS
from tests.cli.conftest import SHOP
from tests.cli.running import Diptych
from tests.cli.servers import Server as Serving
from tests.cli.servers import served
from tests.cli.test_serve import count, placed
from tests.faults.tools import ROOT
from tests.postgres import Server


async def applied(url: str) -> list[int]:
    address = address_of(url)
    connection = await asyncpg.connect(address.dsn)
    rows = await connection.fetch(address.placed("SELECT number FROM diptych.migration ORDER BY applied_at, number"))
    await connection.close()
    return [row[0] for row in rows]


def test_of_servers_that_start_at_once_one_migrates_the_store_and_all_serve(folder: Path, postgres: Server) -> None:
    url = postgres.url("migrated_by_servers")

    with ExitStack() as stack:

        def start(number: int) -> Serving:
            own = folder / f"{number}"
            own.mkdir()
            return stack.enter_context(served(own, SHOP, "--store", url, "--migrate"))

        with ThreadPoolExecutor(3) as pool:
            servers = list(pool.map(start, range(3)))
        assert count(servers[1], placed(servers[0])) == 1
        told = [server.errors().count("applied migration") for server in servers]
        assert sorted(told) == [0, 0, len(MIGRATIONS)]
    assert asyncio.run(applied(url)) == [migration.number for migration in MIGRATIONS]


def test_the_file_may_ask_for_it_and_a_store_of_files_has_nothing_to_migrate(folder: Path, postgres: Server) -> None:
    url = postgres.url("migrated_by_file")
    (folder / "diptych.yaml").write_text(f"target: {SHOP}\nserver: {{migrate: true}}\n")
    for store in (url, "sqlite:///shop.db"):
        with served(folder, "--store", store) as server:
            assert count(server, placed(server)) == 1
            assert server.end(signal.SIGTERM) == 0


def test_unasked_it_migrates_nothing_and_says_what_to_run(
    diptych: Diptych, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src")]))
    ran = diptych("serve", SHOP, "--port", "0", "--role", "command", "--store", postgres.url("not_migrated"))
    assert (ran.code, ran.out) == (3, "")
    assert "diptych store migrate --store" in ran.err
