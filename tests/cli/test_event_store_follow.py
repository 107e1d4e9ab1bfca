"""`event-store stream --follow` survives whatever its store does, and ends where there is nothing to go on from."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from diptych.log import EventLog
from diptych.stores import Store, store_at
from diptych.stores.postgres import PostgresStore
from tests.faults.postgres_tools import kill, session
from tests.faults.tools import new_append, until
from tests.postgres import Server, running

FOLLOW = [sys.executable, "-m", "diptych", "event-store", "stream", "--follow", "--json"]


class Follower:
    """One that runs, and the positions that it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def see(self, count: int) -> list[int]:
        """The next positions."""
        assert self._process.stdout is not None
        return [json.loads(self._process.stdout.readline())["position"] for _ in range(count)]

    def end(self) -> tuple[list[int], list[str]]:
        """Ends it with Ctrl-C; the positions that nobody has seen yet, and what it said besides."""
        self._process.send_signal(signal.SIGINT)
        rest, words = self._process.communicate(timeout=10)
        assert self._process.returncode == 130
        return [json.loads(line)["position"] for line in rest.splitlines()], words.splitlines()[:-1]

    def ended(self) -> tuple[int, str]:
        """Its exit code and its last words, when it has ended by itself."""
        code = self._process.wait(20)
        assert self._process.stderr is not None
        return code, self._process.stderr.read()


@contextmanager
def following(store: str, *words: str) -> Iterator[Follower]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*FOLLOW, "--store", store, *words], stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            yield Follower(process)
        finally:
            process.kill()


async def append_to(log: EventLog, count: int) -> None:
    for _ in range(count):
        await log.append(new_append("order-1"))


def append(store: Store, count: int) -> None:
    async def write() -> None:
        async with store.log() as log:
            await append_to(log, count)

    asyncio.run(write())


@pytest.fixture
def own_postgres(postgres: Server) -> Iterator[Server]:
    """A server that the test may restart."""
    with running(postgres.programs) as server:
        yield server


def test_over_restarts_of_the_server_no_event_is_lost_and_none_comes_twice(own_postgres: Server) -> None:
    store = PostgresStore(own_postgres.url())
    asyncio.run(store.migrate())
    append(store, 3)
    with following(own_postgres.url(), "2001-01-01") as follower:
        seen = follower.see(3)
        for _ in range(3):
            own_postgres.stop()
            own_postgres.start()
            append(store, 5)
            seen += follower.see(5)
        rest, words = follower.end()
    assert seen == list(range(1, 19))
    assert rest == []
    assert len(words) <= 3
    assert all(line.startswith("diptych: postgresql://") for line in words)


def test_a_server_that_stays_away_is_waited_for_and_that_is_said_once(own_postgres: Server) -> None:
    store = PostgresStore(own_postgres.url())
    asyncio.run(store.migrate())
    append(store, 1)
    with following(own_postgres.url()) as follower:
        assert follower.see(1) == [1]
        own_postgres.stop()
        assert follower._process.stderr is not None
        line = follower._process.stderr.readline()
        assert re.search(r"[a-z)]\. Following goes on as soon as it can\.$", line)
        asyncio.run(asyncio.sleep(1.5))
        own_postgres.start()
        append(store, 2)
        assert follower.see(2) == [2, 3]
        assert follower.end() == ([], [])


def test_a_killed_connection_is_not_worth_a_word(postgres_url: str) -> None:
    store = store_at(postgres_url)
    append(store, 1)
    with following(postgres_url) as follower:
        assert follower.see(1) == [1]
        for purpose in ("reader", "listener"):
            asyncio.run(until(partial(kill, postgres_url, purpose)))
        append(store, 2)
        assert follower.see(2) == [2, 3]
        assert follower.end() == ([], [])


def test_a_log_that_was_restored_without_its_end_ends_the_follower(postgres_url: str) -> None:
    append(store_at(postgres_url), 3)
    with following(postgres_url) as follower:
        assert follower.see(3) == [1, 2, 3]

        async def lose() -> None:
            address = PostgresStore(postgres_url).address
            async with session(postgres_url) as other:
                await other.execute(address.placed("DELETE FROM diptych.event WHERE position > 1"))

        asyncio.run(lose())
        code, words = follower.ended()
    assert code == 3
    assert "the log does not have event 3 any more" in words


def test_a_file_that_is_replaced_ends_the_follower(tmp_path: Path) -> None:
    path, other = tmp_path / "shop.db", tmp_path / "other.db"
    for file in (path, other):
        append(store_at(f"sqlite:///{file}"), 2)
    with following(f"sqlite:///{path}") as follower:
        assert follower.see(2) == [1, 2]
        other.replace(path)
        code, words = follower.ended()
    assert code == 3
    assert "shop.db was replaced by another file while it was open" in words


def test_a_file_that_is_gone_is_waited_for_and_another_log_in_its_place_ends_the_follower(tmp_path: Path) -> None:
    path, away, other = tmp_path / "shop.db", tmp_path / "away.db", tmp_path / "other.db"
    for file in (path, other):
        append(store_at(f"sqlite:///{file}"), 2)
    with following(f"sqlite:///{path}") as follower:
        assert follower.see(2) == [1, 2]
        path.replace(away)
        assert follower._process.stderr is not None
        assert "shop.db was deleted or moved while it was open" in follower._process.stderr.readline()
        away.replace(path)
        append(store_at(f"sqlite:///{path}"), 1)
        assert follower.see(1) == [3]

        for file in tmp_path.glob("shop.db*"):
            file.unlink()
        assert "shop.db was deleted or moved" in follower._process.stderr.readline()
        shutil.copy(other, path)
        code, words = follower.ended()
    assert code == 3
    assert "the store holds another log now" in words
