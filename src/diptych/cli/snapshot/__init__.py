"""`diptych snapshot`: what is kept of folded streams, made anew or deleted."""

from diptych.cli.snapshot.delete import delete
from diptych.cli.snapshot.rebuild import rebuild

__all__ = ["delete", "rebuild"]
