"""`diptych demo`: a shop's real sales, loaded, reported on and served. The shop itself stands in `diptych.demo`."""

import asyncio
import shlex
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec.json import encode

from diptych.cli.options import Switch
from diptych.cli.words import DONE, INTERRUPTED, NO, UNREACHABLE, WRONG_USE, Stop
from diptych.progress import Progress, progress_on
from diptych.stores import without_password

if TYPE_CHECKING:
    from diptych.demo.load import Tally
    from diptych.demo.run import Findings
    from diptych.demo.sales_file import Invoice


def demo(
    *,
    data: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    store: Annotated[str | None, Parameter(metavar="URL")] = None,
    json: Annotated[bool, Switch] = False,
    no_serve: Annotated[bool, Switch] = False,
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65535), metavar="N")] = None,
) -> int:
    """Load a shop's real sales, one command per invoice, report on them, and serve the shop.

    The report alone, into a store that is kept:

        diptych demo --store sqlite:///shop.db --no-serve

    Loading the same file into the same store again changes nothing; a load that was stopped goes on.

    Parameters
    ----------
    data:
        A CSV of sales, plain or .gz, with the columns of the sample. By default the sample of two days.
    store:
        The store's URL, such as sqlite:///shop.db or memory://. By default a new file in a temporary folder.
    json:
        Print the report as JSON, and nothing else, on stdout, and end.
    no_serve:
        End after the report.
    port:
        The port to serve at. By default 8000, or another where that is in use.
    """
    check_time_zones()
    with progress_on(sys.stderr) as progress:
        began = perf_counter()
        invoices = read(data, progress)
        reading = perf_counter() - began
        url = temporary_store() if store is None else store
        progress.note(f"Store: {without_password(url)}")
        findings = loaded(url, invoices, progress, reading, again(data, url))
    if json:
        from diptych.demo.report import as_json  # noqa: PLC0415

        sys.stdout.write(as_json(findings.report) + "\n")
    else:
        show_person(findings, data, url)
    if not findings.report.reconciled:
        return NO
    return DONE if json or no_serve or is_gone(url) else serve_shop(url, port)


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
    words = ["diptych", "demo", *(() if data is None else ("--data", str(data))), "--store", without_password(url)]
    return shlex.join(words)


def loaded(url: str, invoices: "list[Invoice]", progress: Progress, reading: float, go_on: str) -> "Findings":
    from diptych.demo.load import Tally  # noqa: PLC0415
    from diptych.demo.run import run  # noqa: PLC0415

    tally = Tally()
    from diptych import UnreadableEvent  # noqa: PLC0415

    try:
        return asyncio.run(run(url, invoices, tally, progress, reading))
    except UnreadableEvent as foreign:
        told = (
            f"{without_password(url)} belongs to another context: {foreign} Nothing was written; name another --store"
        )
        raise Stop(told, WRONG_USE) from None
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
    if is_gone(url):
        return [*words, f"Store  {url}, which is gone by now; --store sqlite:///shop.db keeps one"]
    return [*words, f"Store  {without_password(url)}", f"Again  {again(data, url)}"]


def is_gone(url: str) -> bool:
    """Whether the store went with the load."""
    return url.startswith("memory:")


def serve_shop(url: str, port: int | None) -> int:
    """Serves the shop until it is stopped, and says how to try it."""
    try:
        from diptych.http import configure_logging  # noqa: PLC0415
    except ImportError as missing:  # the report was worth it without
        sys.stderr.write(f"Not served: {missing}\n")
        return DONE
    from diptych.cli.serve import serve_at  # noqa: PLC0415
    from diptych.config import Configuration  # noqa: PLC0415
    from diptych.demo import shop  # noqa: PLC0415

    configure_logging()
    configuration = Configuration(target="diptych.demo:shop", store=url, port=free_port() if port is None else port)
    return serve_at(shop, configuration, invite)


def free_port() -> int:
    """The usual port, or 0, which stands for any, where it is in use."""
    from diptych.http import ServerSettings  # noqa: PLC0415
    from diptych.http.server import CannotListen, listen  # noqa: PLC0415

    usual = ServerSettings()
    try:
        listen(usual.host, usual.port).close()
    except CannotListen:
        return 0
    return usual.port


ORDER = {
    "order_id": "1000001",
    "customer_id": "12748",
    "country": "United Kingdom",
    "placed_at": "2010-12-03T12:00:00Z",
    "lines": [{"stock_code": "85123A", "description": "WHITE HANGING HEART", "quantity": 6, "price": "2.55"}],
}


def invite(url: str) -> None:
    """Says where the shop is served, with three lines to try."""
    commands, queries = f"{url}/shop/commands", f"{url}/shop/queries"
    order = encode(ORDER).decode()
    lines = [
        f"The shop is served at {url} - every command and query, to be tried: {url}/docs",
        "",
        f"  curl '{queries}/BestCustomers?limit=3'",
        (
            f"  token=$(curl -sS -o /dev/null -w '%header{{diptych-token}}' {commands}/PlaceOrder "
            f"-H 'Content-Type: application/json' -d '{order}')"
        ),
        f"  curl '{queries}/GetOrder?order_id=1000001' -H \"Diptych-After: $token\"",
        "",
        "Ctrl-C stops it.",
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()
