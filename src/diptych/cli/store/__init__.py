"""`diptych store`: what an operator does to a store as such."""

from diptych.cli.store.migrate import migrate

__all__ = ["migrate"]
