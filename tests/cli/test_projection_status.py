import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.running import Diptych


def test_a_view_that_has_everything_is_live(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "status")

    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["View", "State", "Position", "Head", "Lag", "Seconds", "Epoch"],
        ["OrderSummary", "live", "3", "3", "0", "0.0", "1"],
    ]


def test_a_view_behind_the_log_is_lagging(diptych: Diptych, store: str) -> None:
    diptych("event-store", "append", "order-1", '{"order_id": "1"}', "--type", "OrderShipped")
    ran = diptych("projection", "status", "OrderSummary", "--json")
    [[row]] = ran.lines()

    assert ran.code == 0
    assert (row["state"], row["position"], row["head"], row["lag_events"]) == ("lagging", 3, 4, 1)
    assert row["lag_seconds"] >= 0
    assert row["reason"] is None


def test_a_view_that_stands_still_ends_with_1_and_why(diptych: Diptych, store: str, folder: Path) -> None:
    failure = b'{"position":4,"reason":"no row","since":"2026-01-31T12:00:00+00:00"}'
    diptych("event-store", "append", "order-7", '{"order_id": "7"}', "--type", "OrderShipped")
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        views.execute("UPDATE diptych_generation SET failure = ?", (failure,))
        views.commit()
    ran = diptych("projection", "status")
    assert ran.code == 1
    assert "OrderSummary  stands still" in ran.out
    assert ran.out.endswith("OrderSummary stands still at event 4 since 2026-01-31T12:00:00+00:00:\n  no row\n")
    [[row]] = diptych("projection", "status", "--json").lines()
    assert (row["failed_position"], row["reason"]) == (4, "no row")


def test_a_view_that_was_never_filled_stands_still(diptych: Diptych, store: str, folder: Path) -> None:
    for file in folder.glob("shop.views.db*"):
        file.unlink()
    ran = diptych("projection", "status", "--json")
    [[row]] = ran.lines()

    assert ran.code == 1
    assert (row["state"], row["position"], row["epoch"]) == ("stands still", 0, None)
    assert row["reason"] == "no projector has run on it yet"


def test_an_unknown_view_ends_with_2_and_the_nearest_one(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "status", "OrderSumary")

    assert (ran.code, ran.out) == (2, "")
    assert "context 'shop' has no view 'OrderSumary'; did you mean 'OrderSummary'?" in ran.err
