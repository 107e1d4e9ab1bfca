"""`diptych event-store`: to look into the log, to tell an aggregate's story, to record a fact by hand."""

from diptych.cli.event_store.append import append
from diptych.cli.event_store.replay import replay
from diptych.cli.event_store.stream import stream

__all__ = ["append", "replay", "stream"]
