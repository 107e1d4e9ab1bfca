"""What the process that projects is told, and how it is started. See `diptych.cli.projecting`."""

import sys
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from diptych.read import LEASE, ProjectionSettings
from diptych.worker import Supervisor


class Work(msgspec.Struct, frozen=True):
    """Which projections run where, and how: those that serve, or the generations that are rebuilt, by their views."""

    target: str
    store: str
    log_level: str
    projections: Mapping[str, ProjectionSettings]
    lease: timedelta = LEASE
    rebuilds: Mapping[str, int] = {}


def projecting(what: str, work: Work) -> Supervisor:
    """The process, which is told its work on its stdin: a command line can be read by everybody."""
    return Supervisor(what, [sys.executable, "-m", "diptych.cli.projecting"], msgspec.json.encode(work) + b"\n")
