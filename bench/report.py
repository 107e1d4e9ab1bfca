"""How results are shown: a table for people, JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bench.harness import DIPTYCH, Line, Spread


def console() -> Console:
    """A console that is wide enough for the table where its width is not a terminal's."""
    found = Console()
    return found if found.is_terminal else Console(width=180)


def show_machine(output: Console, facts: Mapping[str, str]) -> None:
    """One line of facts."""
    output.print("  ".join(f"{name} {value}" for name, value in facts.items()), highlight=False, soft_wrap=True)


def show(output: Console, lines: Sequence[Line]) -> None:
    """The table of all lines: median, with least and greatest in brackets."""
    table = Table(box=None, pad_edge=False)
    table.add_column("bench", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column(DIPTYCH, justify="right", no_wrap=True)
    table.add_column("beside", no_wrap=True)
    table.add_column("which has", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("reach", justify="right", no_wrap=True)
    table.add_column("")
    for line in lines:
        table.add_row(
            line.goal.title,
            line.goal.unit,
            _spread(line.ours),
            line.other_name or "",
            _spread(line.other),
            _spread(line.ratio),
            _reach(line),
            {True: "[green]yes[/]", False: "[red]NO[/]", None: ""}[line.reached],
        )
    output.print(table, highlight=False)


def as_json(facts: Mapping[str, str], lines: Sequence[Line]) -> str:
    """The same, as one JSON object."""
    results = [{**asdict(line), "reached": line.reached} for line in lines]
    return json.dumps({"machine": dict(facts), "results": results}, indent=2)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{_number(spread.middle)} [dim]({_number(spread.least)}–{_number(spread.greatest)})[/]"


def _number(value: float) -> str:
    """Three digits, with k for thousands."""
    if value >= 1000:
        return f"{_number(value / 1000)}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _reach(line: Line) -> str:
    reach = line.goal.reach
    if reach is None:
        return ""
    unit = "x" if line.goal.against else f" {line.goal.unit}"
    return f"{'≤' if line.goal.at_most else '≥'} {reach:g}{unit}"
