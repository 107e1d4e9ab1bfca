import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.app.shop import import_orders
from tests.cli.conftest import SHOP
from tests.cli.running import Diptych

REBUILD = [sys.executable, "-m", "diptych", "projection", "rebuild", "OrderSummary", "--target", SHOP]

BROKEN = """
from diptych import BoundedContext, Projection
from tests.app.shop import OrderPlaced, OrderSummary, orders

summaries = Projection(OrderSummary)

@summaries.on
def placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    raise ZeroDivisionError("no such customer")

shop = BoundedContext("shop", aggregates=[orders], projections=[summaries])
"""


def statuses(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        return views.execute("SELECT order_id, status FROM OrderSummary ORDER BY order_id").fetchall()


def test_a_view_is_filled_again_from_the_log(diptych: Diptych, store: str, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        views.execute("UPDATE diptych_OrderSummary_1 SET status = 'wrong'")
        views.commit()
    ran = diptych("projection", "rebuild", "OrderSummary")

    assert ran.code == 0
    assert ran.out.startswith("OrderSummary is rebuilt: generation 2 is live, 3 events in ")
    assert ran.err.splitlines()[0] == "Generation 2 of OrderSummary begins with the first event"
    assert ran.err.splitlines()[-1].startswith("Events: 3 of 3 (100%)")
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]
    assert diptych("projection", "status").out.splitlines()[1].split()[-1] == "2"


def test_a_rebuild_as_json_is_one_object(diptych: Diptych, store: str) -> None:
    [rebuilt] = diptych("projection", "rebuild", "OrderSummary", "--json").lines()

    assert rebuilt.pop("seconds") >= 0
    assert rebuilt == {"view": "OrderSummary", "epoch": 2, "began_at": 0, "position": 3}


def test_a_lost_views_file_is_filled_without_a_server(diptych: Diptych, store: str, folder: Path) -> None:
    for file in folder.glob("shop.views.db*"):
        file.unlink()

    assert diptych("projection", "rebuild", "OrderSummary").code == 0
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]


def test_an_event_that_cannot_be_applied_ends_it_with_1_and_the_view_stays(
    diptych: Diptych, store: str, folder: Path
) -> None:
    (folder / "broken_shop.py").write_text(BROKEN)
    ran = diptych("projection", "rebuild", "OrderSummary", "--target", "broken_shop:shop")

    assert (ran.code, ran.out) == (1, "")
    assert "OrderSummary cannot be rebuilt past event 1: ZeroDivisionError: no such customer." in ran.err
    assert "The generation before stays live." in ran.err
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]

    looked = diptych("projection", "status")
    assert looked.code == 0
    assert "OrderSummary has an unfinished rebuild, generation 2, at event 0:" in looked.out
    [[row]] = diptych("projection", "status", "--json").lines()
    assert row["unfinished"] == {"epoch": 2, "position": 0}
    assert diptych("projection", "rebuild", "OrderSummary").code == 0


def test_a_paused_view_is_not_rebuilt(diptych: Diptych, store: str) -> None:
    diptych("projection", "pause", "OrderSummary")
    ran = diptych("projection", "rebuild", "OrderSummary")

    assert ran.code == 1
    assert "is paused since" in ran.err


def test_an_unknown_view_ends_with_2_and_the_nearest_one(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "rebuild", "OrderSumary")

    assert (ran.code, ran.out) == (2, "")
    assert "context 'shop' has no view 'OrderSumary'; did you mean 'OrderSummary'?" in ran.err


@contextmanager
def rebuilding(store: str) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    with subprocess.Popen(
        [*REBUILD, "--store", store],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_rebuild_that_was_stopped_goes_on_where_it_was(
    diptych: Diptych, store: str, folder: Path, end: signal.Signals
) -> None:
    asyncio.run(import_orders(store, 80_000))
    with rebuilding(store) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Generation 2 of OrderSummary begins with the first event\n"
        process.send_signal(end)
        out, complaint = process.communicate(timeout=20)

    assert out == ""
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "of 80,003; what is filled is kept, and the view answers as before." in complaint
        assert f"Go on with: diptych projection rebuild OrderSummary --target {SHOP} --store {store}" in complaint
    [[row]] = diptych("projection", "status", "--json").lines()
    assert (row["epoch"], row["position"]) == (1, 3)
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]

    [rebuilt] = diptych("projection", "rebuild", "OrderSummary", "--json").lines()
    assert (rebuilt["epoch"], rebuilt["began_at"], rebuilt["position"]) == (2, row["unfinished"]["position"], 80_003)
    assert len(statuses(folder)) == 80_002
