"""What `/metrics` shows of each view: gauges that are set when somebody asks for them."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge

from diptych.read import Standing

FIGURES: Mapping[str, tuple[str, Callable[[Standing], float]]] = {
    "lag_events": ("Events that a view trails the log by.", lambda view: view.lag.events),
    "lag_seconds": ("Age of the oldest event that a view lacks.", lambda view: view.lag.time.total_seconds()),
    "standing_still": ("1 for a view whose projection cannot go on.", lambda view: view.failure is not None),
    "paused": ("1 for a view whose projection is paused.", lambda view: view.pause is not None),
    "dead_letters": ("Events that are parked for a view.", lambda view: view.letters),
    "parked_keys": ("Keys of a view that dead letters hold back.", lambda view: view.parked),
    "generation": ("Number of the view's generation; 0 before the first.", lambda view: view.number),
    "segments_without_owner": ("Segments of a view that no worker has.", lambda view: view.free),
}
"""What each figure tells, and how it is found."""


class ViewFigures:
    """The gauges of all views."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = [
            (Gauge(f"projection_{name}", text, ["view"], registry=registry), figure)
            for name, (text, figure) in FIGURES.items()
        ]

    def stand(self, standings: Iterable[Standing]) -> None:
        """Takes down how the views stand."""
        for standing in standings:
            for gauge, figure in self._gauges:
                gauge.labels(standing.view).set(figure(standing))
