"""`diptych projection`: how the views stand, and what can be done about it."""

from diptych.cli.projection.status import status

__all__ = ["status"]
