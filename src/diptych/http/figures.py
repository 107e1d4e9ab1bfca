"""Figures that cost little to take: plain numbers in one event loop, made into metrics when somebody asks for them."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Distribution:
    """How often values fell into each of some buckets, which are named by their upper bounds, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def described(self) -> tuple[list[tuple[str, float]], float]:
        """The buckets as OpenMetrics has them, each with all that are below its bound, and the sum."""
        buckets: list[tuple[str, float]] = []
        below = 0
        for bound, count in zip([*map(float, self._bounds), float("inf")], self._counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), below))
        return buckets, self._sum


class Distributions(Collector):
    """A histogram: distributions by the values of its labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._all: dict[tuple[str, ...], Distribution] = {}
        registry.register(self)

    def of(self, *values: str) -> Distribution:
        """The distribution for these values of the labels."""
        return self._all.setdefault(values, Distribution(self._bounds))

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """See prometheus_client's Collector."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, distribution in self._all.items():
            buckets, total = distribution.described()
            family.add_metric(values, buckets, total)
        yield family
