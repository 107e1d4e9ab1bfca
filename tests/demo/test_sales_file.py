"""A sales file as it should be, and in every way that it should not."""

import gzip
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.demo.sales_file import COLUMNS, LONGEST_LINE, SAMPLE, BadSalesFile, read_sales

HEADER = ",".join(COLUMNS)
ROW = "536365,85123A,WHITE HANGING HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom"


def written(folder: Path, *lines: str, name: str = "sales.csv") -> Path:
    path = folder / name
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def with_cell(column: str, cell: str) -> str:
    cells: list[str] = [*ROW.split(",")]
    cells[COLUMNS.index(column)] = cell
    return ",".join(cells)


def complaint(path: Path) -> str:
    with pytest.raises(BadSalesFile) as caught:
        read_sales(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("name", ["sales.csv", "sales.csv.gz"])
def test_a_file_is_read_plain_or_gzipped(tmp_path: Path, name: str) -> None:
    [invoice] = read_sales(written(tmp_path, HEADER, ROW, name=name))
    assert (invoice.no, invoice.customer_id, invoice.country) == ("536365", "17850", "United Kingdom")
    [line] = invoice.lines
    assert (line.stock_code, line.description, line.quantity, line.price) == (
        "85123A",
        "WHITE HANGING HEART",
        6,
        Decimal("2.55"),
    )


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2010-12-01 08:26:00", datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
        ("2011-06-01 00:30:00", datetime(2011, 5, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_times_are_the_shops_own_and_become_utc(tmp_path: Path, local: str, utc: datetime) -> None:
    [invoice] = read_sales(written(tmp_path, HEADER, with_cell("InvoiceDate", local)))
    assert invoice.time == utc
    assert invoice.time.tzinfo is UTC


def test_a_missing_customer_is_a_guest_and_a_missing_description_is_empty(tmp_path: Path) -> None:
    rows = [with_cell("CustomerID", ""), with_cell("Description", "")]
    [invoice] = read_sales(written(tmp_path, HEADER, *rows))
    assert invoice.customer_id is None
    assert invoice.lines[1].description == ""


def test_cells_are_taken_as_they_stand(tmp_path: Path) -> None:
    row = '7,gift_0001_10 ,"BOX, ""LARGE"" ",1,2010-12-01 08:26:00,-0.001,1,EIRE'
    [invoice] = read_sales(written(tmp_path, HEADER, row))
    [line] = invoice.lines
    assert (line.stock_code, line.description, str(line.price)) == ("gift_0001_10 ", 'BOX, "LARGE" ', "-0.001")


def test_a_spreadsheets_mark_windows_line_ends_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{ROW}\r\n\r\n{ROW}".encode())
    [invoice] = read_sales(path)
    assert len(invoice.lines) == 2


def test_a_file_with_no_rows_has_no_invoices(tmp_path: Path) -> None:
    assert read_sales(written(tmp_path, HEADER)) == []


def test_an_invoices_first_row_says_when_who_and_where(tmp_path: Path) -> None:
    other = "536365,1,X,1,2011-01-01 00:00:00,1,99,France"
    [invoice] = read_sales(written(tmp_path, HEADER, ROW, other))
    assert (invoice.time.year, invoice.customer_id, invoice.country) == (2010, "17850", "United Kingdom")


@given(numbers=st.lists(st.integers(min_value=1, max_value=6), max_size=40))
def test_an_invoices_rows_are_found_wherever_they_lie(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    rows = [f"{no},S{place},,1,2010-12-01 08:26:00,1,,France" for place, no in enumerate(numbers)]
    invoices = read_sales(written(tmp_path_factory.mktemp("sales"), HEADER, *rows))
    assert [invoice.no for invoice in invoices] == [str(no) for no in dict.fromkeys(numbers)]
    for invoice in invoices:
        expected = [f"S{place}" for place, no in enumerate(numbers) if str(no) == invoice.no]
        assert [line.stock_code for line in invoice.lines] == expected


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (with_cell("Quantity", "six"), "Quantity"),
        (with_cell("Quantity", "6.5"), "Quantity"),
        (with_cell("Quantity", ""), "Quantity"),
        (with_cell("Quantity", "1_000"), "Quantity"),
        (with_cell("Quantity", "٣"), "Quantity"),
        (with_cell("Quantity", "123456789"), "Quantity"),
        (with_cell("UnitPrice", "cheap"), "UnitPrice"),
        (with_cell("UnitPrice", ""), "UnitPrice"),
        (with_cell("UnitPrice", "NaN"), "UnitPrice"),
        (with_cell("UnitPrice", "Infinity"), "UnitPrice"),
        (with_cell("UnitPrice", "1e3"), "UnitPrice"),
        (with_cell("UnitPrice", "2.5555"), "UnitPrice"),
        (with_cell("UnitPrice", "9" * 40), "UnitPrice"),
        (with_cell("InvoiceDate", "01/12/2010 08:26"), "InvoiceDate"),
        (with_cell("InvoiceDate", "2010-12-01"), "InvoiceDate"),
        (with_cell("InvoiceDate", "2010-02-30 08:26:00"), "InvoiceDate"),
        (with_cell("InvoiceDate", "0000-01-01 00:00:00"), "InvoiceDate"),
        (with_cell("InvoiceNo", ""), "InvoiceNo"),
        (with_cell("InvoiceNo", "9" * 201), "InvoiceNo"),
        (with_cell("StockCode", ""), "StockCode"),
        (with_cell("StockCode", "A\tB"), "StockCode"),
        (with_cell("CustomerID", "\x1b[31m"), "CustomerID"),
        (with_cell("Country", ""), "Country"),
        (with_cell("Description", "A\0B"), "Description"),
        (ROW.rpartition(",")[0], "7 columns, where 8 belong"),
        (ROW + ",", "9 columns, where 8 belong"),
        ("   ", "1 columns, where 8 belong"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: str, problem: str) -> None:
    said = complaint(written(tmp_path, HEADER, ROW, "", row, ROW))
    assert said.startswith(", line 4: ")
    assert problem in said
    assert len(said) < 200
    assert "\x1b" not in said


def test_a_row_of_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    rows = [
        with_cell("Description", '"two\nlines"'),
        with_cell("Quantity", "x").replace("WHITE HANGING HEART", '"A\nB"'),
    ]
    assert complaint(written(tmp_path, HEADER, *rows)).startswith(", line 4: Quantity")


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace("Quantity,", ""),
        HEADER.replace("Quantity", "Amount"),
        HEADER.lower(),
        HEADER + ",Extra",
        ROW,
    ],
)
def test_a_missing_or_renamed_column_is_named(tmp_path: Path, header: str) -> None:
    said = complaint(written(tmp_path, header, ROW))
    assert said.startswith(", line 1: ")
    assert HEADER in said


def test_the_missing_column_is_named(tmp_path: Path) -> None:
    assert "no column Quantity;" in complaint(written(tmp_path, HEADER.replace("Quantity", "Amount"), ROW))


def test_an_empty_file_is_told_so(tmp_path: Path) -> None:
    assert "is empty" in complaint(written(tmp_path))
    assert "is empty" in complaint(written(tmp_path, name="sales.csv.gz"))


def test_a_missing_file_a_folder_and_a_plain_file_named_gz_are_told_apart(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "nowhere.csv")
    assert "directory" in complaint(tmp_path)
    plain = tmp_path / "sales.csv.gz"
    plain.write_text(HEADER)
    assert "not a gzip file" in complaint(plain)


def test_a_damaged_gzip_file_is_told_so(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join([HEADER, *[ROW] * 2000]).encode(), compresslevel=0)
    for name, data in [
        ("short.gz", packed[: len(packed) // 2]),
        ("header.gz", packed[:5]),
        ("flipped.gz", packed[:-6] + bytes(6)),
        ("garbage.gz", packed[:10] + b"\xff" * 100),
        ("trailing.gz", packed + b"more of it"),
    ]:
        (tmp_path / name).write_bytes(data)
        assert "damaged" in complaint(tmp_path / name), name


def test_text_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(f"{HEADER}\n{ROW}\n".encode() + ROW.replace("WHITE", "£").encode("latin-1"))
    assert complaint(path) == ", line 3: this is not UTF-8 text"


@given(data=st.binary(min_size=1, max_size=300))
def test_binary_is_refused_and_never_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("binary") / "sales.csv"
    path.write_bytes(data)
    complaint(path)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(b"x" * (LONGEST_LINE * 3))
    assert re.match(r", line 1: longer than 65,536 bytes", complaint(path))


def test_a_quote_without_end_is_refused(tmp_path: Path) -> None:
    rows = [with_cell("Description", '"no end'), *[ROW] * 3000]
    assert complaint(written(tmp_path, HEADER, ROW, *rows)).startswith(", line 3: this is not CSV")


def test_the_sample_ships_with_its_source_and_licence() -> None:
    invoices = read_sales(SAMPLE)
    assert (len(invoices), sum(len(invoice.lines) for invoice in invoices)) == (310, 5217)
    assert SAMPLE.stat().st_size < 100_000
    notice = SAMPLE.with_name("NOTICE.md").read_text("utf-8")
    assert "10.24432/C5BW33" in notice
    assert "CC BY 4.0" in notice
