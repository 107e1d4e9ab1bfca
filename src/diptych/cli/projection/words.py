"""How a view stands, as `diptych projection status` shows it to people."""

from collections.abc import Collection, Sequence

from diptych.cli.output import cut, printable
from diptych.cli.projection.keys import shown_hold
from diptych.cli.projection.standing import NEVER_FILLED, Other, Row, Segment
from diptych.read import Hold, State

LEAST = 8
"""Characters that a name has at least, however narrow the place."""


def table(rows: Sequence[Row], width: int) -> list[str]:
    """One line for each view, under headings; numbers to the right. The names are cut where they leave no room."""
    cells = [("View", "State", "Gen", "Position", "Lag", "Seconds", "Rate", "Letters")]
    cells += [
        (
            row.view,
            row.state,
            "-" if row.generation is None else str(row.generation),
            f"{row.position:,}",
            f"{row.lag_events:,}",
            f"{row.lag_seconds:,.1f}",
            "-" if row.rate is None else f"{row.rate:,.0f}/s",
            f"{row.dead_letters:,}",
        )
        for row in rows
    ]
    return aligned(cells, width, texts=(0, 1))


def segments(row: Row, width: int) -> list[str]:
    """One line for each segment of a view, with who has it."""
    cells = [("Segment", "Position", "Keys held back", "Worker")]
    cells += [(str(one.segment), f"{one.position:,}", f"{one.parked_keys:,}", worker(one)) for one in row.segments]
    return ["", *aligned(cells, width, texts=(3,))] if row.segments else []


def worker(segment: Segment) -> str:
    """Who has a segment: the machine and the process."""
    if segment.owner is None:
        return "none"
    return shown_worker(segment.owner) + (" (silent)" if segment.silent else "")


def shown_worker(identity: str) -> str:
    """The machine and the process of a worker, without what makes its id unique for ever."""
    place, _, process = identity.rpartition(":")[0].rpartition(":")
    return printable(f"{place.partition('/')[0]}:{process}" if place else identity)


def aligned(cells: Sequence[Sequence[str]], width: int, texts: Collection[int]) -> list[str]:
    """Columns two spaces apart, texts to the left and numbers to the right; the first text is cut to fit the width."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    first = min(texts)
    widths[first] = max(widths[first] - max(over, 0), LEAST)
    return [
        "  ".join(
            cut(cell, size).ljust(size) if column in texts else cell.rjust(size)
            for column, (cell, size) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def words(row: Row) -> list[str]:
    """What somebody should know of a view, and what to do about it."""
    said = [never_filled(row), failure(row), pause(row), letters(row), nobody(row)]
    said += [other(row, one) for one in row.others]
    return [line for lines in said if lines for line in ("", *lines)]


def never_filled(row: Row) -> list[str]:
    if row.state != NEVER_FILLED:
        return []
    return [f"{row.view} is not filled by this code: {row.reason}. Start a worker:", "  diptych serve --role projector"]


def failure(row: Row) -> list[str]:
    if (failed := row.failure) is None:
        return []
    where = f"at event {failed.position:,} since {failed.since} ({failed.category})"
    return [f"{row.view} stands still {where}:", f"  {printable(failed.reason)}"]


def pause(row: Row) -> list[str]:
    if (paused := row.pause) is None:
        return []
    return [
        f"{row.view} is paused since {paused.since}: {printable(paused.reason)}",
        f"  diptych projection resume {row.view}",
    ]


def letters(row: Row) -> list[str]:
    if (first := row.first_letter) is None:
        return []
    what = f"{row.parked_keys:,} {'key' if row.parked_keys == 1 else 'keys'}"
    where = f"{first.type}, event {first.position:,}, for {shown_hold(Hold(first.key, first.stream))}"
    return [
        f"{row.view} holds back {what} since {first.since}, first by {where}:",
        *([] if first.error is None else [f"  {printable(first.error)}"]),
        f"  diptych projection letters {row.view}",
    ]


def nobody(row: Row) -> list[str]:
    """Which segments nobody projects, and whose they were."""
    if not row.idle:
        return []
    silent = sorted({shown_worker(one.owner) for one in row.idle if one.owner is not None})
    if len(row.idle) == len(row.segments):
        said = f"No worker projects {row.view}"
    else:
        said = f"No worker projects {len(row.idle)} of the {len(row.segments)} segments of {row.view}"
    return [said + (f"; {', '.join(silent)} gives no sign of life." if silent else ".")]


def other(row: Row, one: Other) -> list[str]:
    """A generation beside the one that answers, and what may be done with it."""
    where = f"generation {one.generation}, at event {one.position:,}"
    if not one.this_version:
        return [f"{row.view} is {one.state} for another version of the code: {where}."]
    if one.state == State.FILLING.value:
        return [
            f"{row.view} has an unfinished rebuild, {where}; go on with it, or give it up:",
            f"  diptych projection rebuild {row.view}",
            f"  diptych projection cancel {row.view}",
        ]
    return [
        f"{row.view} has kept {where}:",
        f"  diptych projection drop {row.view} --generation {one.generation}",
    ]
