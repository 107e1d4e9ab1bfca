"""Leases: which workers there are, as a store knows them. What they may write is fenced by epochs, never by time."""

from typing import NamedTuple


class Worker(NamedTuple):
    """A running thing that takes segments. `id` is unique for ever; it can run projections of these fingerprints.

    `beat` grows as long as it lives: one whose beat stands still for the lease's time, by the clock of whoever watches,
    is taken for dead.
    """

    id: str
    fingerprints: frozenset[str]
    beat: int = 0
