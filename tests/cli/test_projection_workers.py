"""Workers as processes of their own, on either store: what an operator does to them, and what is told of them."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych
from tests.cli.servers import Server, projectors_of, served, until
from tests.http.asking import PLACE, order_body

SEGMENTS = "DIPTYCH_CQRS_QUERY_SIDE_PROJECTIONS_OrderSummary_SEGMENTS"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store, named by the environment; its views have two segments, and a worker's lease is a second."""
    url = f"sqlite:///{folder / 'shop.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    for name, value in {
        "DIPTYCH_STORE": url,
        "DIPTYCH_TARGET": SHOP,
        SEGMENTS: "2",
        "DIPTYCH_CQRS_QUERY_SIDE_LEASE": "1s",
    }.items():
        monkeypatch.setenv(name, value)
    return str(url)


@contextmanager
def workers(folder: Path, number: int) -> Iterator[list[Server]]:
    """Servers that do nothing but project, each with its own folder for what it says."""
    place = folder / f"worker{number}"
    place.mkdir(exist_ok=True)
    with served(place, "--role", "projector") as server:
        if number == 1:
            yield [server]
        else:
            with workers(folder, number - 1) as others:
                yield [server, *others]


def place(server: Server, number: int) -> None:
    for order in range(number):
        answer = server.client.post(PLACE, json=order_body(f"{order}-{time.monotonic_ns()}"))
        assert answer.status_code == 200, answer.text


def standing(diptych: Diptych) -> dict[str, Any]:
    [[row]] = diptych("projection", "status", "--json").lines()
    assert isinstance(row, dict)
    return row


def owners(diptych: Diptych) -> list[str | None]:
    return [segment["owner"] for segment in standing(diptych)["segments"]]


def test_a_pause_holds_for_all_workers_at_once_and_survives_their_restart(
    diptych: Diptych, folder: Path, url: str
) -> None:
    with served(folder, "--role", "command") as commands:
        with workers(folder, 2):
            until(lambda: len({owner for owner in owners(diptych) if owner}) == 2)
            place(commands, 10)
            until(lambda: standing(diptych)["lag_events"] == 0)
            assert diptych("projection", "pause", "OrderSummary", "--because", "a test").code == 0
            place(commands, 10)
            row = standing(diptych)  # it looks twice, more than a second apart
            assert (row["state"], row["position"], row["rate"], row["lag_events"]) == ("paused", 10, 0.0, 10)
        with workers(folder, 2):
            row = standing(diptych)
            assert (row["state"], row["position"], row["pause"]["reason"]) == ("paused", 10, "a test")
            assert diptych("projection", "resume", "OrderSummary").code == 0
            began = time.monotonic()
            until(lambda: standing(diptych)["lag_events"] == 0)
            assert time.monotonic() - began < 5
        assert diptych("projection", "status").code == 0


def test_a_killed_worker_is_told_of_and_its_segments_are_taken_over(diptych: Diptych, folder: Path, url: str) -> None:
    with served(folder, "--role", "command") as commands, workers(folder, 2) as (first, second):
        until(lambda: len({owner for owner in owners(diptych) if owner}) == 2)
        dead = str(projectors_of(first))
        first.process.kill()
        place(commands, 10)
        until(lambda: all(owner and f":{dead}:" not in owner for owner in owners(diptych)))
        until(lambda: standing(diptych)["lag_events"] == 0)
        said = [json.loads(line) for line in second.errors().splitlines()]
    taken = [line for line in said if line["message"].startswith("takes segment")]
    assert {line["segment"] for line in taken} == {0, 1}
    assert {(line["logger"], line["view"], line["generation"]) for line in taken} == {
        ("diptych.projections", "OrderSummary", 1)
    }


def test_a_worker_that_is_stopped_is_shown_silent_and_loses_its_segments_to_another(
    diptych: Diptych, folder: Path, url: str
) -> None:
    with workers(folder, 1) as (first,):
        until(lambda: all(owners(diptych)))
        stopped = projectors_of(first)
        os.kill(stopped, signal.SIGSTOP)
        ran = diptych("projection", "status", "OrderSummary")
        assert f":{stopped} (silent)" in ran.out
        assert f":{stopped} gives no sign of life." in ran.out
        other = folder / "other"
        other.mkdir()
        with served(other, "--role", "projector"):
            until(lambda: all(owner and f":{stopped}:" not in owner for owner in owners(diptych)))
            os.kill(stopped, signal.SIGCONT)
            until(lambda: "has lost segment" in first.errors() or "was taken for dead" in first.errors())
            until(lambda: len(set(owners(diptych))) == 2)


def test_a_view_that_no_worker_ever_ran_on_says_so_and_one_whose_workers_left_too(
    diptych: Diptych, folder: Path, url: str
) -> None:
    with served(folder, "--role", "command") as commands:
        place(commands, 1)
        ran = diptych("projection", "status")
        assert (ran.code, "never filled" in ran.out) == (1, True)
        with workers(folder, 1) as (worker,):
            until(lambda: standing(diptych)["state"] == "live")
            assert worker.end(signal.SIGTERM) == 0
        ran = diptych("projection", "status")
        assert (ran.code, ran.out.splitlines()[-1]) == (0, "No worker projects OrderSummary.")
        place(commands, 1)
        ran = diptych("projection", "status")
        assert ran.code == 1
        assert ran.out.splitlines()[1].split()[:2] == ["OrderSummary", "lagging"]
