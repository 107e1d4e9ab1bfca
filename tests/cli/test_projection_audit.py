import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.running import Diptych


def change(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        views.execute(sql)
        views.commit()


def test_a_view_as_the_log_says_is_said_to_be_so(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "audit", "OrderSummary")

    assert (ran.code, ran.out) == (0, "OrderSummary: 2 rows are as the log says.\n")
    assert ran.err.splitlines()[-1].startswith("OrderSummary: 3 of 3 (100%)")


@pytest.mark.parametrize(
    ("sql", "kind_and_total"),
    [
        ("DELETE FROM diptych_OrderSummary_1 WHERE order_id = '1'", ("missing", None)),
        ("UPDATE diptych_OrderSummary_1 SET total = total * 2 WHERE order_id = '1'", ("other", "30.00")),
        ("UPDATE diptych_OrderSummary_1 SET status = 'placed' WHERE order_id = '1'", ("other", "15.00")),
    ],
)
def test_a_hole_a_double_and_a_stale_row_are_found(
    diptych: Diptych, store: str, folder: Path, sql: str, kind_and_total: tuple[str, str | None]
) -> None:
    change(folder, sql)
    ran = diptych("projection", "audit", "OrderSummary", "--json")

    assert ran.code == 1
    [audited] = ran.lines()
    [difference] = audited["first"]
    assert (audited["view"], audited["rows"], audited["differences"]) == ("OrderSummary", 2, 1)
    assert (difference["kind"], (difference["found"] or {}).get("total")) == kind_and_total
    assert (difference["key"], difference["expected"]["status"]) == ('"1"', "shipped")


def test_of_many_differences_the_first_are_shown_and_all_are_counted(
    diptych: Diptych, store: str, folder: Path
) -> None:
    for number in range(30):
        change(folder, f"INSERT INTO diptych_OrderSummary_1 VALUES ('x{number}', 'c', 1, 'placed')")
    ran = diptych("projection", "audit", "OrderSummary")

    assert ran.code == 1
    assert ran.out.startswith("OrderSummary: 30 of 32 rows are not as the log says.\n  surplus ")
    assert ran.out.endswith("  and 10 more\n")
    assert len(ran.out.splitlines()) == 1 + 20 * 3 + 1


def test_a_sample_is_a_part_of_the_keys(diptych: Diptych, store: str) -> None:
    [audited] = diptych("projection", "audit", "OrderSummary", "--sample", "1000000", "--json").lines()

    assert audited["rows"] < 2


def test_what_is_not_filled_yet_cannot_be_audited(diptych: Diptych, store: str, folder: Path) -> None:
    for file in folder.glob("shop.views.db*"):
        file.unlink()
    ran = diptych("projection", "audit", "OrderSummary")

    assert (ran.code, ran.out) == (1, "")
    assert "OrderSummary has no rows yet; fill it: diptych projection rebuild OrderSummary" in ran.err
