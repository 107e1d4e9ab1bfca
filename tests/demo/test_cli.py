"""The command line from outside: what it prints where, and the code it leaves with."""

import asyncio
import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from diptych.cli import main
from diptych.demo.report import Report
from diptych.demo.sales_file import COLUMNS, SAMPLE
from tests.app.shop import order
from tests.app.shop import shop as other
from tests.privileges import in_a_folder_that_is_read_only

PACE = {"seconds", "commands_per_second", "events_per_second"}


def diptych(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def figures(json_report: str) -> dict[str, object]:
    return {key: value for key, value in json.loads(json_report).items() if key not in PACE}


def test_the_json_report_goes_alone_to_stdout_with_exactly_its_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"sqlite:///{tmp_path / 'shop.db'}"
    code, out, err = diptych(capsys, "demo", "--json", "--no-serve", "--store", store)
    report = json.loads(out)
    assert code == 0
    assert list(report) == list(Report.__struct_fields__)
    assert set(report["rows_by_outcome"]) == {"ordered", "credited", "rejected"}
    assert set(report["views"]) == {"OrderSummary", "CreditNote", "CustomerHistory", "ProductSales", "DailySales"}
    assert isinstance(report["revenue"], str)
    assert report["reconciled"] is True
    assert f"Store: {store}" in err

    assert figures(diptych(capsys, "demo", "--json", "--store", store)[1]) == figures(out)


def test_the_report_for_a_person_says_what_matters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    store = f"sqlite:///{tmp_path / 'shop.db'}"
    code, out, _ = diptych(capsys, "demo", "--no-serve", "--store", store)
    assert code == 0
    for words in ("5,217 rows", "310 invoices", "rejected: minimum-order", "Reconciled", "CC BY 4.0", "ProductSales"):
        assert words in out
    assert f"Again  diptych demo --store {store}\n" in out
    tables, _, _ = out.partition("  Sales  ")
    assert max(map(len, tables.splitlines())) <= 100
    assert "\x1b" not in out


def test_books_that_do_not_agree_end_with_1_and_say_on_what(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.demo.run.differences", lambda books, views: ["CreditNote has 2 rows, the log says 3"])
    code, out, _ = diptych(capsys, "demo", "--store", "memory://")
    assert code == 1
    told = [line.strip() for line in out.splitlines()]
    assert told[told.index("NOT reconciled:") + 1] == "CreditNote has 2 rows, the log says 3"
    code, out, _ = diptych(capsys, "demo", "--store", "memory://", "--json")
    assert code == 1
    assert json.loads(out)["reconciled"] is False


def test_a_store_that_holds_more_than_the_file_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"sqlite:///{tmp_path / 'shop.db'}"
    one = tmp_path / "one.csv"
    one.write_text(f"{','.join(COLUMNS)}\n99,a,[bold]A,1,2010-12-01 08:26:00,20,1,EIRE\n")
    diptych(capsys, "demo", "--no-serve", "--store", store)
    _, out, _ = diptych(capsys, "demo", "--no-serve", "--store", store, "--data", str(one))
    assert "The store holds more than this file" in out
    _, out, _ = diptych(capsys, "demo", "--store", "memory://", "--data", str(one))
    assert "The store holds more than this file" not in out
    assert "[bold]A" in out


def test_the_default_store_is_a_new_file_in_a_temporary_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _, _, err = diptych(capsys, "demo", "--json")
    told = re.search(r"^Store: sqlite:///(.*)$", err, re.MULTILINE)
    assert told is not None
    assert Path(told[1]).is_file()
    assert tmp_path in Path(told[1]).parents


def test_help_and_version_answer() -> None:
    ran = subprocess.run([sys.executable, "-m", "diptych", "--help"], capture_output=True, text=True, check=True)
    assert "demo" in ran.stdout
    ran = subprocess.run([sys.executable, "-m", "diptych", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+\.\d+.*\n", ran.stdout)


def test_help_does_without_the_demo_and_without_its_tables() -> None:
    code = "import sys, diptych.cli; print([m for m in ('diptych.demo', 'rich.table', 'sqlite3') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def bad_files(folder: Path) -> Iterator[tuple[Path, str]]:
    header, row = ",".join(COLUMNS), "1,a,A,1,2010-12-01 08:26:00,20,1,EIRE"
    texts = {
        "column.csv": (f"{header.replace('Country', 'Land')}\n{row}\n", "line 1: no column Country"),
        "number.csv": (f"{header}\n{row}\n{row.replace('20,', 'NaN,')}\n", "line 3: UnitPrice"),
        "date.csv": (f"{header}\n{row.replace('2010-12-01', '01.12.2010')}\n", "line 2: InvoiceDate"),
        "short.csv": (f"{header}\n{row}\n1,a\n", "line 3: 2 columns"),
        "empty.csv": ("", "the file is empty"),
        "plain.csv.gz": (f"{header}\n{row}\n", "not a gzip file"),
    }
    for name, (text, problem) in texts.items():
        (folder / name).write_text(text)
        yield folder / name, problem
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 100)
    yield folder / "binary.csv", "line"
    (folder / "latin.csv").write_bytes(f"{header}\n{row.replace('A,', '£,')}\n".encode("latin-1"))
    yield folder / "latin.csv", "line 2: this is not UTF-8"
    (folder / "cut.csv.gz").write_bytes(gzip.compress(f"{header}\n{row}\n".encode())[:-12])
    yield folder / "cut.csv.gz", "damaged"
    yield folder / "missing.csv", "No such file"
    yield folder, "directory"


def test_a_bad_file_ends_with_2_and_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "shop.db"
    for path, problem in bad_files(tmp_path):
        code, out, err = diptych(capsys, "demo", "--data", str(path), "--store", f"sqlite:///{store}")
        complaint = err.splitlines()[-1]
        assert (code, out) == (2, "")
        assert complaint.startswith(f"diptych: {path}")
        assert problem in complaint
        assert "Traceback" not in err
        assert not store.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--nonsense"],
        ["nonsense"],
        ["demo", "extra"],
        ["demo", "--data"],
        ["demo", "--store", "nonsense://x"],
        ["demo", "--store", "nonsense"],
    ],
)
def test_wrong_use_ends_with_2_and_one_line(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, out, err = diptych(capsys, *words)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("diptych: ")
    assert "Traceback" not in err


def test_a_store_that_cannot_be_reached_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    no_database = tmp_path / "letter.db"
    no_database.write_text("Dear reader,\n" * 1000)
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE letters (words TEXT)")
    for path in (no_database, foreign, tmp_path / "nowhere" / "shop.db", Path("/dev/null/shop.db"), tmp_path):
        before = path.read_bytes() if path.is_file() else None
        code, out, err = diptych(capsys, "demo", "--store", f"sqlite:///{path}")
        complaint = err.splitlines()[-1]
        assert (code, out) == (3, "")
        assert complaint.startswith("diptych: ")
        assert str(path) in complaint
        assert before is None or path.read_bytes() == before


def test_a_read_only_folder_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    diptych(capsys, "demo", "--json")  # what it imports cannot be found by nobody
    with in_a_folder_that_is_read_only() as folder:
        code, _, err = diptych(capsys, "demo", "--store", f"sqlite:///{folder / 'shop.db'}")
    assert code == 3
    assert f"check the permissions of the file and of the folder {folder}" in err


def many_invoices(path: Path) -> Path:
    rows = [
        f"{no},S{no % 97 + item},THING,{item + 1},2010-12-{no % 28 + 1:02} 12:00:00,{no % 9}.{item}5,{no % 301},EIRE"
        for no in range(100_000, 106_000)
        for item in range(3)
    ]
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return path


@contextmanager
def loading(data: Path, store: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo in another process, in the middle of its load."""
    words = [sys.executable, "-m", "diptych", "demo", "--json", "--data", str(data), "--store", f"sqlite:///{store}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            end = monotonic() + 30
            while written_bytes(store) < 300_000:
                assert process.poll() is None
                assert monotonic() < end
                sleep(0.005)
            yield process
        finally:
            process.kill()


def written_bytes(store: Path) -> int:
    written = 0
    for path in store.parent.glob(store.name + "*"):
        with suppress(FileNotFoundError):  # SQLite's own files come and go while the store is made
            written += path.stat().st_size
    return written


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_load_that_was_stopped_goes_on_and_ends_with_the_same_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stop: signal.Signals
) -> None:
    data, store = many_invoices(tmp_path / "sales.csv"), tmp_path / "stopped" / "shop.db"
    store.parent.mkdir()
    with loading(data, store) as process:
        process.send_signal(stop)
        out, err = process.communicate(timeout=20)
    assert out == ""
    if stop is signal.SIGINT:
        assert process.returncode == 130
        told = re.search(r"^diptych: stopped after ([\d,]+) of 6,000 invoices; .*", err, re.MULTILINE)
        assert told is not None
        assert 0 < int(told[1].replace(",", "")) < 6000
        assert f"diptych demo --data {data} --store sqlite:///{store}" in told[0]
        assert "Traceback" not in err

    code, whole, _ = diptych(capsys, "demo", "--json", "--data", str(data), "--store", "memory://")
    assert code == 0
    code, resumed, _ = diptych(capsys, "demo", "--json", "--data", str(data), "--store", f"sqlite:///{store}")
    assert code == 0
    assert figures(resumed) == figures(whole)


@pytest.mark.parametrize("end", ["| true", "> /dev/full", ">&-", "2>&-"])
def test_output_that_goes_nowhere_is_no_disaster(end: str) -> None:
    command = f"{sys.executable} -m diptych demo --data {SAMPLE} --store memory:// --json {end}"
    if "/dev/full" in end and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr


def test_a_system_without_time_zones_is_told_what_to_install() -> None:
    code = "import sys; sys.modules['tzdata'] = None; from diptych.cli import main; sys.exit(main(['demo']))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONTZPATH": ""},
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "diptych: this system has no time zones, and the shop is in London; pip install tzdata"
    ]


def test_a_store_of_another_context_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"sqlite:///{tmp_path / 'shop.db'}"

    async def fill() -> None:
        async with other.open(store) as app:
            await app.execute(order("1"))

    asyncio.run(fill())
    code, out, err = diptych(capsys, "demo", "--no-serve", "--store", store)
    assert (code, out) == (2, "")
    assert "belongs to another context: Event 1" in err
    with closing(sqlite3.connect(tmp_path / "shop.db")) as log:
        assert log.execute("SELECT count(*) FROM event").fetchone() == (1,)
