"""What `/metrics` shows of each view: gauges that are set when somebody asks for them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge

from diptych.read import Standing


class Figure(NamedTuple):
    """A figure of a view, by the name that it is shown by."""

    name: str
    text: str
    of: Callable[[Standing], float]


FIGURES = (
    Figure("lag_events", "Events that a view trails the log by.", lambda view: view.lag.events),
    Figure("lag_seconds", "Age of the oldest event that a view lacks.", lambda view: view.lag.time.total_seconds()),
    Figure("standing_still", "1 for a view whose projection cannot go on.", lambda view: view.failure is not None),
    Figure("paused", "1 for a view whose projection is paused.", lambda view: view.pause is not None),
    Figure("dead_letters", "Events that are parked for a view.", lambda view: view.letters),
    Figure("parked_keys", "Keys of a view that dead letters hold back.", lambda view: view.parked),
    Figure("generation", "Number of the view's generation; 0 before the first.", lambda view: view.number),
    Figure("segments_without_owner", "Segments of a view that no worker has.", lambda view: view.free),
)


class ViewFigures:
    """The gauges of all views."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = [
            (Gauge(f"projection_{figure.name}", figure.text, ["view"], registry=registry), figure.of)
            for figure in FIGURES
        ]

    def stand(self, standings: Iterable[Standing]) -> None:
        """Takes down how the views stand."""
        for standing in standings:
            for gauge, figure in self._gauges:
                gauge.labels(standing.view).set(figure(standing))
