"""`diptych projection rebuild`, in one process: what it does, says and refuses."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diptych.read import Generation, Rebuild
from tests.app.shop import ShipOrder, order, shop
from tests.cli.running import Diptych

BROKEN = """
from diptych import BoundedContext, Projection
from tests.app.shop import OrderPlaced, OrderSummary, orders

summaries = Projection(OrderSummary)

@summaries.on
def placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    raise ZeroDivisionError("no such customer")

shop = BoundedContext("shop", aggregates=[orders], projections=[summaries])
"""

MENDED = """
from diptych import BoundedContext, Projection
from tests.app.shop import OrderPlaced, OrderShipped, OrderSummary, orders

summaries = Projection(OrderSummary, replayable={replayable})

@summaries.on
def placed(row: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
    return OrderSummary(order_id=event.order_id, customer_id=event.customer_id, total=event.total, status="new")

@summaries.on
def shipped(row: OrderSummary, event: OrderShipped) -> OrderSummary:
    return row.replace(status="gone")

shop = BoundedContext("shop", aggregates=[orders], projections=[summaries])
"""


def statuses(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        return views.execute("SELECT order_id, status FROM OrderSummary ORDER BY order_id").fetchall()


def mended(folder: Path, *, replayable: bool = False) -> str:
    """A context of the same shape whose handlers say other words."""
    name = f"mended_{replayable}".lower()
    (folder / f"{name}.py").write_text(MENDED.format(replayable=replayable))
    return f"{name}:shop"


def test_a_view_is_filled_again_from_the_log(diptych: Diptych, store: str, folder: Path) -> None:
    ran = diptych("projection", "rebuild", "OrderSummary", "--target", mended(folder))

    assert ran.code == 0
    assert ran.out.startswith("OrderSummary is rebuilt: generation 2 is live, 3 events in ")
    assert ran.err.splitlines()[0] == "Generation 2 of OrderSummary begins with the first event"
    assert ran.err.splitlines()[-1].startswith("OrderSummary: 3 of 3 (100%)")
    assert statuses(folder) == [("1", "gone"), ("2", "new")]


def test_a_rebuild_as_json_is_one_object(diptych: Diptych, store: str) -> None:
    [rebuilt] = diptych("projection", "rebuild", "OrderSummary", "--json").lines()

    assert rebuilt.pop("seconds") >= 0
    assert rebuilt == {"view": "OrderSummary", "generation": 2, "began_at": 0, "position": 3, "parked": 0}


def test_what_is_replaced_is_kept_if_it_is_to_be_and_dropped_by_its_number(
    diptych: Diptych, store: str, folder: Path
) -> None:
    assert diptych("projection", "rebuild", "OrderSummary", "--keep").code == 0
    looked = diptych("projection", "status")
    assert looked.out.endswith(
        "OrderSummary has kept generation 1, at event 3:\n  diptych projection drop OrderSummary --generation 1\n"
    )
    refused = diptych("projection", "drop", "OrderSummary", "--generation", "2")
    assert (refused.code, refused.out) == (1, "")
    assert "generation 2 of OrderSummary answers its queries, and is not dropped" in refused.err

    dropped = diptych("projection", "drop", "OrderSummary", "--generation", "1")
    assert (dropped.code, dropped.out) == (0, "Generation 1 of OrderSummary is gone; it was at event 3.\n")
    assert diptych("projection", "drop", "OrderSummary", "--generation", "1").code == 1
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]


def test_a_rebuild_with_new_dead_letters_is_not_switched_to_unless_asked_for(
    diptych: Diptych, store: str, folder: Path
) -> None:
    (folder / "broken_shop.py").write_text(BROKEN)
    again = ("projection", "rebuild", "OrderSummary", "--target", "broken_shop:shop")
    ran = diptych(*again)
    assert (ran.code, ran.out) == (1, "")
    assert "OrderSummary has more dead letters after the rebuild: they hold back 2 of its keys. The" in ran.err
    assert "diptych projection letters OrderSummary --generation 2." in ran.err
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]
    assert "ZeroDivisionError: no such customer" in diptych(*again[:1], "letters", *again[2:], "--generation", "2").out

    assert "OrderSummary has an unfinished rebuild, generation 2, at event 3" in diptych("projection", "status").out
    taken = diptych(*again, "--with-letters", "--json")
    assert taken.code == 0
    assert (taken.lines()[0]["generation"], taken.lines()[0]["parked"]) == (3, 2)
    assert statuses(folder) == []

    # one with as many as before is no worse
    assert diptych(*again).out.endswith("s. 2 keys are held back by dead letters.\n")
    assert diptych("projection", "rebuild", "OrderSummary").code == 0
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]


def test_an_unfinished_rebuild_is_given_up(diptych: Diptych, store: str, folder: Path) -> None:
    (folder / "broken_shop.py").write_text(BROKEN)
    assert diptych("projection", "rebuild", "OrderSummary", "--target", "broken_shop:shop").code == 1

    cancelled = diptych("projection", "cancel", "OrderSummary", "--json")
    assert cancelled.lines() == [{"view": "OrderSummary", "generation": 2, "position": 3}]
    nothing = diptych("projection", "cancel", "OrderSummary")
    assert (nothing.code, nothing.err) == (1, "diptych: OrderSummary has no unfinished rebuild\n")


def test_a_dry_run_shows_what_would_change_and_changes_nothing(diptych: Diptych, store: str, folder: Path) -> None:
    same = diptych("projection", "rebuild", "OrderSummary", "--dry-run")
    assert (same.code, same.out) == (0, "OrderSummary: 2 rows are as the log says.\n")

    ran = diptych("projection", "rebuild", "OrderSummary", "--dry-run", "--target", mended(folder))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "OrderSummary: 2 of 2 rows are not as the log says.",
        '  other "1"',
        '    log:  {"order_id":"1","customer_id":"c","total":"15.00","status":"gone"}',
        '    view: {"order_id":"1","customer_id":"c","total":"15.00","status":"shipped"}',
        '  other "2"',
        '    log:  {"order_id":"2","customer_id":"c","total":"15.00","status":"new"}',
        '    view: {"order_id":"2","customer_id":"c","total":"15.00","status":"placed"}',
    ]
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]
    assert "rebuild" not in diptych("projection", "status").out


def test_events_since_a_time_are_applied_again_where_that_does_no_harm(
    diptych: Diptych, store: str, folder: Path
) -> None:
    since = (datetime.now(UTC) + timedelta(milliseconds=20)).isoformat()

    async def later() -> None:
        await asyncio.sleep(0.05)
        async with shop.open(store) as app:
            await app.execute(order("3"))
            receipt = await app.execute(ShipOrder(order_id="2"))
            await app.caught_up(receipt.token)

    asyncio.run(later())
    words = ("projection", "rebuild", "OrderSummary", "--from-timestamp", since)
    refused = diptych(*words, "--target", mended(folder))
    assert (refused.code, refused.out) == (2, "")
    assert "its handlers would apply events to rows that have them already" in refused.err
    assert "Projection(..., replayable=True)" in refused.err

    ran = diptych(*words, "--target", mended(folder, replayable=True))
    assert ran.code == 0
    assert ran.err.startswith("Generation 2 of OrderSummary goes on after event 3\n")
    assert ", 2 events in " in ran.out
    assert statuses(folder) == [("1", "shipped"), ("2", "gone"), ("3", "new")]


def test_from_a_time_a_view_that_never_was_cannot_begin(diptych: Diptych, store: str, folder: Path) -> None:
    for part in folder.glob("shop.views.db*"):
        part.unlink()
    words = ("projection", "rebuild", "OrderSummary", "--from-timestamp", "2026-01-31")
    ran = diptych(*words, "--target", mended(folder, replayable=True))

    assert ran.code == 1
    assert "OrderSummary has no rows to begin with; rebuild it from the start of the log" in ran.err


def test_a_lost_views_file_is_filled_without_a_server(diptych: Diptych, store: str, folder: Path) -> None:
    for part in folder.glob("shop.views.db*"):
        part.unlink()

    assert diptych("projection", "rebuild", "OrderSummary").code == 0
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]


@pytest.mark.parametrize("damage", ["header", "schema", "page"])
def test_a_damaged_views_file_says_what_to_do_and_doing_that_is_enough(
    diptych: Diptych, store: str, folder: Path, damage: str
) -> None:
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        views.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (pages,) = views.execute("PRAGMA page_count").fetchone()
    with (folder / "shop.views.db").open("r+b") as file:
        match damage:
            case "header":
                file.write(b"\x00" * 100)
            case "schema":
                file.seek(100)
                file.write(b"\xff" * 3000)
            case _:
                file.seek(4096)
                file.write(b"\xff" * 4096 * (pages - 1))
    ran = diptych("projection", "rebuild", "OrderSummary")
    assert ran.code in {1, 2, 3}
    assert "delete it while nothing runs: views are folded from the log again" in ran.err, ran.err

    for part in folder.glob("shop.views.db*"):
        part.unlink()
    assert diptych("projection", "rebuild", "OrderSummary").code == 0
    assert statuses(folder) == [("1", "shipped"), ("2", "placed")]


def test_a_paused_view_is_not_rebuilt(diptych: Diptych, store: str) -> None:
    diptych("projection", "pause", "OrderSummary")
    ran = diptych("projection", "rebuild", "OrderSummary")

    assert ran.code == 1
    assert "is paused since" in ran.err


def test_an_unknown_view_ends_with_2_and_the_nearest_one(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "rebuild", "OrderSummary", "OrderSumary")

    assert (ran.code, ran.out) == (2, "")
    assert "context 'shop' has no view 'OrderSumary'; did you mean 'OrderSummary'?" in ran.err


def test_no_view_at_all_ends_with_2(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "rebuild")

    assert (ran.code, ran.err[:21]) == (2, "diptych: which view? ")


THREE = """
from diptych import BoundedContext, Projection, View
from tests.app.shop import OrderPlaced, OrderShipped, OrderSummary, orders

class First(View, key="order_id"):
    order_id: str

class Second(View, key="order_id"):
    order_id: str

class Third(View, key="order_id"):
    order_id: str

BROKEN = False

def projection(view):
    projection = Projection(view)

    @projection.on
    def placed(row: view | None, event: OrderPlaced) -> view:
        if BROKEN and view is Second:
            raise ZeroDivisionError
        return view(order_id=event.order_id)

    return projection

three = BoundedContext("three", aggregates=[orders], projections=[projection(view) for view in (First, Second, Third)])
"""


def test_several_views_are_rebuilt_and_one_that_cannot_be_does_not_keep_the_others(
    diptych: Diptych, store: str, folder: Path
) -> None:
    (folder / "three_views.py").write_text(THREE)
    (folder / "three_broken.py").write_text(THREE.replace("BROKEN = False", "BROKEN = True"))
    words = ("projection", "rebuild", "First", "Second", "Third", "--json", "--target")
    first = diptych(*words, "three_views:three")
    assert [one["view"] for one in first.lines()] == ["First", "Second", "Third"]

    second = diptych(*words, "three_broken:three")
    assert second.code == 1
    assert [(one["view"], one["generation"]) for one in second.lines()] == [("First", 2), ("Third", 2)]
    assert "Second has more dead letters after the rebuild" in second.err


def test_an_interrupt_that_comes_after_the_switch_changes_nothing(
    diptych: Diptych, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Rebuild.finish

    async def interrupted(self: Rebuild, **how: bool) -> Generation:
        await finish(self, **how)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)
        raise AssertionError("unreachable")

    monkeypatch.setattr(Rebuild, "finish", interrupted)
    ran = diptych("projection", "rebuild", "OrderSummary")
    assert ran.code == 0
    assert ran.out.startswith("OrderSummary is rebuilt: generation 2 is live")
