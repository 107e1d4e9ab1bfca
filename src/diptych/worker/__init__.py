"""The worker: runs projectors on an event loop of their own."""

from diptych.worker.projectors import projectors_beside

__all__ = ["projectors_beside"]
