"""`python -m bench [NAME ...]`: runs the benches and prints their ratios. Always exits 0: it informs, it is no gate."""

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import (
    append,
    append_postgres,
    bulk,
    catch_up,
    execute,
    growth,
    http,
    in_step,
    lag,
    load,
    machine,
    memory,
    rebuild,
    report,
    snapshots,
    start,
)
from bench.harness import Bench, Line, Settings, run

BENCHES: tuple[Bench, ...] = (
    *append.BENCHES,
    *append_postgres.BENCHES,
    *execute.BENCHES,
    *bulk.BENCHES,
    *in_step.BENCHES,
    *catch_up.BENCHES,
    *load.BENCHES,
    *snapshots.BENCHES,
    *rebuild.BENCHES,
    *lag.BENCHES,
    *start.BENCHES,
    *memory.BENCHES,
    *growth.BENCHES,
    *http.BENCHES,
)

ROUNDS, QUICK_ROUNDS = 3, 3
SECONDS, QUICK_SECONDS = 0.8, 0.25


def main() -> None:
    """Parses the arguments, runs what they name, prints as it goes."""
    arguments = _parse()
    chosen = [bench for bench in BENCHES if not arguments.names or bench.name in arguments.names]
    root = _root(arguments.dir)
    folder = Path(tempfile.mkdtemp(dir=root))
    output = report.console()
    output.quiet = arguments.json
    settings = Settings(
        folder=folder,
        rounds=arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS),
        seconds=QUICK_SECONDS if arguments.quick else SECONDS,
        quick=arguments.quick,
        events=arguments.events,
        lasting=ExitStack(),
    )
    try:
        facts = machine.facts(folder)
        report.show_machine(output, facts)
        lines: list[Line] = []
        for bench in chosen:
            if (reason := bench.missing()) is not None:
                output.print(f"[dim]{bench.name}: left out, {reason}[/]", highlight=False)
                continue
            began = time.perf_counter()
            lines += run(bench, settings)
            output.print(f"[dim]{bench.name}: {bench.about} ({time.perf_counter() - began:.0f} s)[/]", highlight=False)
        report.show(output, lines)
        if arguments.json:
            print(report.as_json(facts, lines))
    finally:
        settings.lasting.close()
        shutil.rmtree(folder)


def _root(named: Path | None) -> Path:
    """The folder for the files: by default one that git does not see, on the disk of the working directory."""
    root = (named or Path(".bench")).absolute()
    root.mkdir(parents=True, exist_ok=True)
    if named is None:
        (root / ".gitignore").write_text("*\n", encoding="utf-8")
    return root


def _parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    names = [bench.name for bench in BENCHES]
    parser = argparse.ArgumentParser("python -m bench", description="Runs the benches and prints ratios.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benches to run, by default all: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="short samples and small logs, for a first look")
    parser.add_argument("--rounds", type=int, help=f"rounds in which the contenders take turns (default {ROUNDS})")
    parser.add_argument("--events", type=int, help="length of the longest log of growth, and of that of rebuild")
    parser.add_argument("--dir", type=Path, help="folder for the files, on the disk to be measured (default .bench)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args(given)
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return arguments


if __name__ == "__main__":
    main()
