"""`diptych new`: a bounded context to start from, with its tests, as a folder of its own."""

from diptych.cli.new.new import new

__all__ = ["new"]
