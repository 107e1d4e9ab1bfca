"""What is measured, and how it is shown: OpenMetrics, in a registry of the gateway's own."""

from collections.abc import Callable, Iterable
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.openmetrics import exposition

from diptych.http.figures import Distribution, Distributions
from diptych.http.view_figures import ViewFigures
from diptych.read import Standing

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
APPENDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

MAX_CODES = 100
"""Rejection codes that are counted apart; a context that makes up more of them has the rest counted as `other`."""


class CommandMetrics:
    """The figures of one command type."""

    def __init__(self, seconds: Distributions, commands: Counter, name: str) -> None:
        self._seconds = seconds.of(name)
        self._accepted = commands.labels(name, "accepted")
        self._rejected = commands.labels(name, "rejected")
        self._failed = commands.labels(name, "failed")

    def settled(self, status: int, seconds: float) -> None:
        """A command was answered with this HTTP status after so long."""
        self._seconds.observe(seconds)
        outcome = self._accepted if status < 300 else self._rejected if status < 500 else self._failed
        outcome.inc()


class Metrics:
    """The gateway's figures. It is a LogObserver, too."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._commands_seconds = Distributions(
            "command_processing_time_seconds",
            "From a whole request to its receipt or refusal.",
            ["command"],
            SECONDS,
            registry,
        )
        self._commands = Counter("commands", "Commands by outcome.", ["command", "outcome"], registry=registry)
        self._rejections = Counter("command_rejections", "Refused commands by code.", ["code"], registry=registry)
        self._rejection_rate = Gauge("command_rejection_rate", "Refused among all commands so far.", registry=registry)
        self._append_seconds = Distributions(
            "event_store_append_time_seconds", "One group commit of the log.", [], SECONDS, registry
        ).of()
        self._batch = Distributions(
            "event_store_batch_size", "Appends in one group commit.", [], APPENDS, registry
        ).of()
        self._queue = Gauge(
            "event_store_queue_depth", "Appends that waited when the last commit ended.", registry=registry
        )
        self._queries_seconds = Distributions(
            "query_response_time_seconds", "From a whole request to its answer.", ["query"], SECONDS, registry
        )
        self._views = ViewFigures(registry)
        self.requests = Gauge("http_requests_in_flight", "Requests at work at this moment.", registry=registry)
        self._codes: set[str] = set()
        self._all = self._refused = 0

    def of_command(self, name: str) -> CommandMetrics:
        """The figures of the command of this published name."""
        return CommandMetrics(self._commands_seconds, self._commands, name)

    def of_query(self, name: str) -> Distribution:
        """The times of the query of this published name."""
        return self._queries_seconds.of(name)

    def answered(self, code: str | None) -> None:
        """One more command was answered, with the code of its refusal or None."""
        self._all += 1
        if code is None:
            return
        self._refused += 1
        if code not in self._codes:
            if len(self._codes) >= MAX_CODES:
                code = "other"
            self._codes.add(code)
        self._rejections.labels(code).inc()

    def committed(self, appends: int, seconds: float, waiting: int) -> None:
        """See `diptych.log.LogObserver`."""
        self._append_seconds.observe(seconds)
        self._batch.observe(appends)
        self._queue.set(waiting)

    def stand(self, standings: Iterable[Standing]) -> None:
        """Takes down how the views stand."""
        self._views.stand(standings)

    def exposition(self) -> tuple[str, bytes]:
        """The content type, and everything in OpenMetrics."""
        self._rejection_rate.set(self._refused / self._all if self._all else 0)
        return exposition.CONTENT_TYPE_LATEST, _written(self._registry)


_written = cast("Callable[[CollectorRegistry], bytes]", vars(exposition)["generate_latest"])
"""The one function of the library that has no types."""
