"""`diptych event-store`: to look into the log, to tell an aggregate's story, to record a fact or import many."""

from diptych.cli.event_store.append import append
from diptych.cli.event_store.imports import import_
from diptych.cli.event_store.replay import replay
from diptych.cli.event_store.stream import stream

__all__ = ["append", "import_", "replay", "stream"]
