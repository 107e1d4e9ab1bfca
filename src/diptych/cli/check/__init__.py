"""`diptych check`: whether a context builds, what it has, and whether it can read what was stored before."""

from diptych.cli.check.command import check

__all__ = ["check"]
