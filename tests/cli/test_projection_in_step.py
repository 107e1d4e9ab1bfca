"""Views in step with the log from the command line: on SQLite they are in the log's own file, and nobody need know."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diptych import BoundedContext, ProjectionFailed
from diptych.stores import store_at
from tests.app.shop import OrderCount, ShipOrder, order
from tests.app.stepping import following, in_step, mended
from tests.cli.running import Diptych
from tests.faults.tools import ROOT, until

HAND = '{"order_id": "9", "customer_id": "c", "total": "%s"}'


def aim(monkeypatch: pytest.MonkeyPatch, context: str) -> None:
    monkeypatch.setenv("DIPTYCH_TARGET", f"tests.app.stepping:{context}")


@pytest.fixture
def url(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shop's three events of two orders, and its summary in step with them."""
    aim(monkeypatch, "in_step")
    asyncio.run(stepping(store))
    return store


async def stepping(url: str, context: BoundedContext = in_step) -> None:
    """Has a context's worker do what it has to, until the view is in step."""
    async with context.open(url), store_at(url).views(in_step=True) as views:

        async def joined() -> bool:
            return [one.fingerprint for one in await views.in_step()] == [context.folds[0].shape.fingerprint]

        await until(joined)


@contextmanager
def served(url: str) -> Iterator[None]:
    """Another process, whose worker keeps the view in step; it is killed."""
    code = "import asyncio, sys; from tests.cli.test_projection_in_step import serve; asyncio.run(serve(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


async def serve(url: str) -> None:
    async with in_step.open(url):
        os.write(1, b"ready\n")
        await asyncio.sleep(60)


def count(url: str, context: BoundedContext = in_step) -> int:
    async def ask() -> int:
        async with context.open(url, projectors=False) as app:
            return await app.ask(OrderCount())

    return asyncio.run(ask())


def test_status_tells_a_view_that_is_in_step(diptych: Diptych, url: str) -> None:
    asyncio.run(append(url))
    looked = diptych("projection", "status")
    assert (looked.code, looked.err) == (0, "")
    assert looked.out.splitlines()[1].split()[:4] == ["OrderSummary", "in", "step", "1"]
    [row] = json.loads(diptych("projection", "status", "--json").out)
    assert (row["state"], row["mode"], row["lag_events"]) == ("in step", "sync", 0)


async def append(url: str) -> None:
    async with in_step.open(url, projectors=False) as app:
        await app.execute(order("3"))


def test_a_view_that_follows_is_live_and_async(diptych: Diptych, store: str) -> None:
    [row] = json.loads(diptych("projection", "status", "--json").out)
    assert (row["state"], row["mode"]) == ("live", "async")


def test_a_fact_that_is_recorded_by_hand_is_in_the_view_at_once(diptych: Diptych, url: str) -> None:
    recorded = diptych("event-store", "append", "order-9", HAND % "15.00", "--type", "OrderPlaced")
    assert recorded.code == 0
    assert count(url) == 3

    refused = diptych("event-store", "append", "order-9", HAND % "2000.00", "--type", "OrderPlaced")
    assert refused.code == 1
    assert "Nothing was kept: view OrderSummary, kept in step with the log, cannot take OrderPlaced" in refused.err
    assert "nobody can afford that" in refused.err


@pytest.mark.parametrize("context", ["without", "newer"])
def test_whoever_lacks_the_projection_or_has_another_version_records_and_imports_nothing(
    diptych: Diptych, url: str, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    aim(monkeypatch, context)
    with Path("old.ndjson").open("w") as file:
        file.write(json.dumps({"stream": "order-9", "type": "OrderPlaced", "data": json.loads(HAND % "15.00")}) + "\n")
    for words in (
        ("event-store", "append", "order-9", HAND % "15.00", "--type", "OrderPlaced"),
        ("event-store", "import", "old.ndjson"),
    ):
        refused = diptych(*words)
        assert refused.code == 3
        assert "View OrderSummary is kept in step with the log by code that this process does not have" in refused.err
        assert "diptych projection part OrderSummary" in refused.err
    aim(monkeypatch, "in_step")
    assert diptych("event-store", "import", "old.ndjson").code == 0
    assert count(url) == 3


def test_an_import_stops_before_what_a_view_cannot_take(diptych: Diptych, url: str) -> None:
    with Path("old.ndjson").open("w") as file:
        for number, total in ((7, "15.00"), (8, "2000.00")):
            placed = {"order_id": f"{number}", "customer_id": "c", "total": total}
            file.write(json.dumps({"stream": f"order-{number}", "type": "OrderPlaced", "data": placed}) + "\n")
    stopped = diptych("event-store", "import", "old.ndjson")
    assert stopped.code == 1
    assert "Lines 1 to 2: Nothing was kept: view OrderSummary" in stopped.err
    assert count(url) == 2


def test_a_view_that_nobody_keeps_any_more_is_let_go_of(
    diptych: Diptych, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parted = diptych("projection", "part", "OrderSummary")
    assert (parted.code, parted.out) == (0, "OrderSummary is not kept in step with the log any more.\n")
    again = diptych("projection", "part", "OrderSummary", "--json")
    assert (again.code, again.lines()) == (0, [{"view": "OrderSummary", "was_in_step": False}])
    aim(monkeypatch, "without")
    assert diptych("event-store", "append", "order-9", HAND % "15.00", "--type", "OrderPlaced").code == 0
    asyncio.run(stepping(url))
    assert count(url) == 3


def test_a_view_that_a_living_worker_keeps_in_step_is_not_let_go_of(diptych: Diptych, url: str) -> None:
    with served(url):
        refused = diptych("projection", "part", "OrderSummary")
        assert refused.code == 1
        assert "a worker keeps OrderSummary in step with the log; stop it first" in refused.err
    assert diptych("projection", "part", "OrderSummary").code == 0, "it was killed"


def test_it_is_paused_and_resumed_and_audited_and_divided_and_rebuilt(diptych: Diptych, url: str) -> None:
    assert diptych("projection", "pause", "OrderSummary").code == 0
    asyncio.run(append(url))
    assert count(url) == 2
    assert diptych("projection", "status").out.splitlines()[1].split()[1] == "paused"
    assert diptych("projection", "resume", "OrderSummary").code == 0
    asyncio.run(stepping(url))
    divided = diptych("projection", "divide", "OrderSummary", "--segments", "3")
    assert (divided.code, divided.out) == (0, "OrderSummary has 3 segments now, at event 4.\n")
    assert diptych("projection", "audit", "OrderSummary").code == 0
    rebuilt = diptych("projection", "rebuild", "OrderSummary", "--keep")
    assert rebuilt.code == 0
    assert diptych("projection", "drop", "OrderSummary", "--generation", "1").code == 0
    assert diptych("projection", "audit", "OrderSummary").out == "OrderSummary: 3 rows are as the log says.\n"
    assert count(url) == 3


def test_its_letters_are_shown_and_retried_where_they_are(
    diptych: Diptych, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def park() -> None:
        async with following.open(store) as app:
            await app.execute(order("7", price="2000.00"))
        await stepping(store)

    async def ship(context: BoundedContext) -> None:
        async with context.open(store, projectors=False) as app:
            await app.execute(ShipOrder(order_id="7"))

    asyncio.run(park())
    aim(monkeypatch, "in_step")
    assert "Key 7: event 4, OrderPlaced" in diptych("projection", "letters", "OrderSummary").out
    with pytest.raises(ProjectionFailed, match='holds back its key "7"'):
        asyncio.run(ship(in_step))
    assert diptych("projection", "retry", "OrderSummary").code == 1
    aim(monkeypatch, "mended")
    assert diptych("projection", "retry", "OrderSummary").code == 0
    asyncio.run(ship(mended))
    assert count(store, mended) == 3


def test_a_skipped_letter_is_passed_over_by_what_is_filled_later(
    diptych: Diptych, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def park() -> None:
        async with following.open(store) as app:
            await app.execute(order("7", price="2000.00"))
        await stepping(store)

    asyncio.run(park())
    aim(monkeypatch, "in_step")
    assert diptych("projection", "skip", "OrderSummary", "--position", "4", "--because", "a joke").code == 0
    assert diptych("projection", "rebuild", "OrderSummary").code == 0
    assert "Nothing is held back" in diptych("projection", "letters", "OrderSummary").out
