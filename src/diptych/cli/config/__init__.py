"""`diptych config`: which settings hold and where they come from, and whether they can be right."""

from diptych.cli.config.check import check
from diptych.cli.config.show import show

__all__ = ["check", "show"]
