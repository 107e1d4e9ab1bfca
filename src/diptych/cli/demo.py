"""`diptych demo`: a shop's real sales, loaded and reported. The shop and the loading stand in `diptych.demo`."""

import asyncio
import shlex
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from cyclopts import Parameter

from diptych.cli.words import DONE, INTERRUPTED, NO, UNREACHABLE, WRONG_USE, Stop
from diptych.progress import Progress, progress_on

if TYPE_CHECKING:
    from diptych.demo.load import Tally
    from diptych.demo.run import Findings
    from diptych.demo.sales_file import Invoice

Switch = Parameter(negative=())


def demo(
    *,
    data: Path | None = None,
    store: str | None = None,
    json: Annotated[bool, Switch] = False,
    no_serve: Annotated[bool, Switch] = False,
) -> int:
    """Load a shop's real sales, one command per invoice, and report on them.

    Loading the same file into the same store again changes nothing; a load that was stopped goes on.

    Parameters
    ----------
    data:
        A CSV of sales, plain or .gz, with the columns of the sample. By default the sample of two days.
    store:
        The store's URL, such as sqlite:///shop.db or memory://. By default a new file in a temporary folder.
    json:
        Print the report as JSON, and nothing else, on stdout.
    no_serve:
        End after the report. The demo does not serve yet, so this is what it does in any case.
    """
    check_time_zones()
    with progress_on(sys.stderr) as progress:
        began = perf_counter()
        invoices = read(data, progress)
        reading = perf_counter() - began
        url = temporary_store() if store is None else store
        progress.note(f"Store: {url}")
        findings = loaded(url, invoices, progress, reading, again(data, url))
    if json:
        from diptych.demo.report import as_json  # noqa: PLC0415

        sys.stdout.write(as_json(findings.report) + "\n")
    else:
        show_person(findings, data, url)
    return DONE if findings.report.reconciled else NO


def check_time_zones() -> None:
    """Before the shop is imported: its days are days in London, and a bare system may not know where that is."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415

    try:
        ZoneInfo("Europe/London")
    except ZoneInfoNotFoundError:
        raise Stop("this system has no time zones, and the shop is in London; pip install tzdata", NO) from None


def read(data: Path | None, progress: Progress) -> "list[Invoice]":
    from diptych.demo.sales_file import SAMPLE, BadSalesFile, read_sales  # noqa: PLC0415

    if data is not None:
        progress.note(f"Reading {data}")
    try:
        return read_sales(data or SAMPLE)
    except BadSalesFile as bad:
        raise Stop(f"{bad}. Nothing was written.", WRONG_USE) from None


def temporary_store() -> str:
    """The URL of a file in a new temporary folder, which stays until the system clears it away."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="diptych-demo-"))
    except OSError as error:
        raise Stop(f"no temporary folder for the store ({error}); name a place with --store", UNREACHABLE) from None
    return f"sqlite:///{quote(str(folder / 'shop.db'))}"


def again(data: Path | None, url: str) -> str:
    """The command line that loads the same file into the same store."""
    words = ["diptych", "demo", *(() if data is None else ("--data", str(data))), "--store", url]
    return shlex.join(words)


def loaded(url: str, invoices: "list[Invoice]", progress: Progress, reading: float, go_on: str) -> "Findings":
    from diptych.demo.load import Tally  # noqa: PLC0415
    from diptych.demo.run import run  # noqa: PLC0415

    tally = Tally()
    try:
        return asyncio.run(run(url, invoices, tally, progress, reading))
    except KeyboardInterrupt:
        raise Stop(stopped(tally, len(invoices), go_on), INTERRUPTED) from None


def stopped(tally: "Tally", invoices: int, go_on: str) -> str:
    return f"stopped after {tally.invoices:,} of {invoices:,} invoices; what was done is kept. Go on with: {go_on}"


def show_person(findings: "Findings", data: Path | None, url: str) -> None:
    from rich.console import Console  # noqa: PLC0415

    from diptych.demo.show import show  # noqa: PLC0415

    source = "the sample of two days, December 2010" if data is None else str(data)
    show(Console(), findings, f"The shop's sales: {source}", closing(data, url))


def closing(data: Path | None, url: str) -> list[str]:
    source = "Sales  Online Retail, Daqing Chen, UCI Machine Learning Repository, 2015; CC BY 4.0; doi 10.24432/C5BW33"
    words = [source] if data is None else []
    if url.startswith("memory:"):
        return [*words, f"Store  {url}, which is gone by now; --store sqlite:///shop.db keeps one"]
    return [*words, f"Store  {url}", f"Again  {again(data, url)}"]
