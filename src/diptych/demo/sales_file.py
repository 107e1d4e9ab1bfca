"""Reading a sales file: a CSV, plain or gzipped, into invoices. It reads all of the file before it gives any of it.

An invoice's rows may lie anywhere in the file, and a file that turns out to be wrong in its last line must not have
written anything: so the whole file is read and checked first. Equal cells share one value, which keeps that small
(about 100 bytes a row). No engine here: what an invoice becomes is decided by whoever loads it.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar, cast

from diptych.demo.domain import LONDON, Line

SAMPLE = Path(__file__).with_name("sample.csv.gz")
"""Two days of the shop's sales, shipped with the package; its source and licence stand beside it."""

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_LINE = 1 << 16  # bytes; a file without line ends must not fill the memory before it is refused
LONGEST_CODE = 200

QUANTITY = re.compile(r"-?[0-9]{1,7}")
PRICE = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,3})?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadSalesFile(Exception):
    """The file cannot be loaded: `path`, the 1-based `line` where one is to blame, and the `problem`."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        self.path, self.line, self.problem = path, line, problem
        super().__init__(f"{path}: {problem}" if line is None else f"{path}, line {line}: {problem}")


class BadLine(Exception):
    """A line is not as a sales file has it. Raised inside this module, where the path is not known."""

    def __init__(self, line: int | None, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(problem)


@dataclass(slots=True)
class Invoice:
    """Rows with one InvoiceNo; the time (UTC), the customer and the country are those of the first."""

    no: str
    time: datetime
    customer_id: str | None
    country: str
    lines: list[Line]


def read_sales(path: Path) -> list[Invoice]:
    """The file's invoices in the order of their first rows. Raises `BadSalesFile`."""
    try:
        with opened(path) as file:
            return grouped(numbered_rows(decoded(file)))
    except BadLine as bad:
        raise BadSalesFile(path, bad.line, bad.problem) from None
    except OSError as error:
        raise BadSalesFile(path, None, error.strerror or str(error)) from None


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    with path.open("rb") as file:
        if path.suffix != ".gz":
            yield file
            return
        if file.peek(2)[:2] != b"\x1f\x8b":
            raise BadLine(None, "this is not a gzip file, though its name ends in .gz")
        with gzip.open(file) as unpacked:
            yield cast(BinaryIO, unpacked)


def decoded(file: BinaryIO) -> Iterator[str]:
    """Lines of text. Decoded one by one, so that the line at fault is known."""
    encoding = "utf-8-sig"  # a spreadsheet puts a mark in front of the first line
    number = 0
    try:
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise BadLine(number, f"longer than {LONGEST_LINE:,} bytes; this is not a CSV of sales")
            yield line.decode(encoding)
            encoding = "utf-8"
    except UnicodeDecodeError:
        raise BadLine(number, "this is not UTF-8 text") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadLine(number + 1, f"the gzip file is damaged here: {error}") from None


def numbered_rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line on which each begins; empty lines are no rows."""
    reader = csv.reader(lines, strict=True)
    begins = 1
    try:
        for row in reader:
            if row:
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadLine(begins, f"this is not CSV: {error}") from None


def grouped(rows: Iterator[tuple[int, list[str]]]) -> list[Invoice]:
    check_header(next(rows, None))
    invoices: dict[str, Invoice] = {}
    for number, row in rows:
        if len(row) != len(COLUMNS):
            raise BadLine(number, f"{len(row)} columns, where {len(COLUMNS)} belong")
        try:
            add(invoices, row)
        except ValueError as error:
            raise BadLine(number, str(error)) from None
    return list(invoices.values())


def check_header(header: tuple[int, list[str]] | None) -> None:
    if header is None:
        raise BadLine(None, "the file is empty; its first line should name the columns " + ",".join(COLUMNS))
    number, names = header
    if tuple(names) == COLUMNS:
        return
    missing = [name for name in COLUMNS if name not in names]
    problem = "no column " + ", ".join(missing) if missing else "these are not the columns of a sales file"
    raise BadLine(number, f"{problem}; the first line should be {','.join(COLUMNS)}")


def add(invoices: dict[str, Invoice], row: list[str]) -> None:
    no, stock_code, description, quantity, date, price, customer_id, country = row
    time = as_time(date)
    customer = as_code("CustomerID", customer_id) if customer_id else None
    where = as_code("Country", country)
    line = Line(
        stock_code=as_code("StockCode", stock_code),
        description=as_description(description),
        quantity=as_quantity(quantity),
        price=as_price(price),
    )
    invoice = invoices.get(no)
    if invoice is None:
        no = as_code("InvoiceNo", no)
        invoice = invoices[no] = Invoice(no, time, customer, where, [])
    invoice.lines.append(line)


def shared(convert: Callable[P, T]) -> Callable[P, T]:
    """Converts equal cells once, and gives all of them the same value."""
    return cast(Callable[P, T], lru_cache(maxsize=1 << 16)(convert))


@shared
def as_code(column: str, cell: str) -> str:
    if not cell:
        raise ValueError(f"{column} is empty")
    if len(cell) > LONGEST_CODE or CONTROL.search(cell):
        raise ValueError(f"{column} is not a code of at most {LONGEST_CODE} printable characters: {quoted(cell)}")
    return cell


@shared
def as_description(cell: str) -> str:
    if "\0" in cell:
        raise ValueError("Description has a NUL character in it")
    return cell


@shared
def as_quantity(cell: str) -> int:
    if not QUANTITY.fullmatch(cell):
        raise ValueError(f"Quantity is not a whole number of at most 7 digits: {quoted(cell)}")
    return int(cell)


@shared
def as_price(cell: str) -> Decimal:
    if not PRICE.fullmatch(cell):
        raise ValueError(f"UnitPrice is not a decimal number like 2.55, with at most 3 decimals: {quoted(cell)}")
    return Decimal(cell)


@shared
def as_time(cell: str) -> datetime:
    """The shop's local time, told in UTC."""
    try:
        if DATE.fullmatch(cell):
            return datetime.fromisoformat(cell).replace(tzinfo=LONDON).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"InvoiceDate is not a time like 2010-12-01 08:26:00: {quoted(cell)}")


def quoted(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")
