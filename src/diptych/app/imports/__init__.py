"""Imports: the events of another system or another log, line by line, into a log that may be at work meanwhile."""

from diptych.app.imports.importing import Import, Imported
from diptych.app.imports.lines import LineReader

__all__ = ["Import", "Imported", "LineReader"]
