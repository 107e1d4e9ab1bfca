"""Figures: cheap to take, and the same in the end as the library's own."""

import random

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics import exposition

from diptych.http.figures import Distributions

BOUNDS = (0.001, 0.5, 1, 30)


def lines(registry: CollectorRegistry) -> list[str]:
    written = vars(exposition)["generate_latest"](registry)  # the one function of the library that has no types
    return [line for line in written.decode().splitlines() if "_created" not in line]


def test_they_read_as_those_of_the_library_do() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Distributions("times", "Times.", ["kind"], BOUNDS, ours)
    histogram = Histogram("times", "Times.", ["kind"], buckets=BOUNDS, registry=theirs)
    dice = random.Random(1)
    for value in [0.001, 0.5, 1, 30, *[dice.expovariate(1) for _ in range(500)]]:
        kind = dice.choice(["a", 'b "quoted"'])
        mine.of(kind).observe(value)
        histogram.labels(kind).observe(value)

    assert sorted(lines(ours)) == sorted(lines(theirs))


def test_what_has_no_labels_is_there_before_the_first_value() -> None:
    registry = CollectorRegistry()
    Distributions("times", "Times.", [], BOUNDS, registry).of()

    assert "times_count 0.0" in lines(registry) or "times_count 0" in lines(registry)
