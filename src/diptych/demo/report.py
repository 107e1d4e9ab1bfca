"""What the demo reports: the figures as data, and the same as JSON. How a person gets to see them stands in `show`."""

from decimal import Decimal

import msgspec

from diptych.demo.load import Tally


class RowsByOutcome(msgspec.Struct, frozen=True):
    ordered: int
    credited: int
    rejected: dict[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a run. Its fields are the keys of the JSON report, in this order.

    `rows`, `invoices` and the outcomes are the file's; `views` counts all that the store holds. `seconds` is the whole
    run, from reading the file to reconciled views; commands are counted over the loading, events until the views had
    them all.
    """

    rows: int
    invoices: int
    orders: int
    credit_notes: int
    revenue: str
    credited: str
    rejected: dict[str, int]
    rows_by_outcome: RowsByOutcome
    views: dict[str, int]
    reconciled: bool
    seconds: float
    commands_per_second: float
    events_per_second: float


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of the run's parts, each after the one before."""

    reading: float
    loading: float
    catching_up: float
    reconciling: float

    @property
    def whole(self) -> float:
        return self.reading + self.loading + self.catching_up + self.reconciling


def report_of(tally: Tally, views: dict[str, int], timing: Timing, *, reconciled: bool) -> Report:
    return Report(
        rows=tally.rows,
        invoices=tally.invoices,
        orders=tally.orders,
        credit_notes=tally.credit_notes,
        revenue=plain(tally.revenue),
        credited=plain(tally.credited),
        rejected=by_count(tally.rejected),
        rows_by_outcome=RowsByOutcome(
            ordered=tally.rows_ordered, credited=tally.rows_credited, rejected=by_count(tally.rows_rejected)
        ),
        views=views,
        reconciled=reconciled,
        seconds=round(timing.whole, 3),
        commands_per_second=rate(tally.invoices, timing.loading),
        events_per_second=rate(tally.orders + tally.credit_notes, timing.loading + timing.catching_up),
    )


def as_json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def plain(amount: Decimal) -> str:
    """Exact, without an exponent and without zeros that say nothing."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0
