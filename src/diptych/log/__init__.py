"""The hinge between the panels: recorded events, positions, conditions, the codec, the EventLog protocol. No I/O."""

from diptych.log.bell import Bell
from diptych.log.catalogue import EventCatalogue, id_text
from diptych.log.codec import Codec, PlainCodec
from diptych.log.compression import Zstd
from diptych.log.conditions import Condition, EventQuery, Match, NoneNewer, StreamAt, stream_name, stream_range, tag
from diptych.log.events import (
    BEGINNING,
    Anchor,
    Append,
    Batch,
    BatchEvent,
    FirstOutcome,
    Metadata,
    NewEvent,
    Outcome,
    Recorded,
    RecordedEvent,
    StoredEvent,
    from_microseconds,
    to_microseconds,
)
from diptych.log.judge import Facts, Verdicts, boundary_conflict, judge, judge_batch, repeated, version_conflict
from diptych.log.lane import Lane, in_halves
from diptych.log.observer import UNOBSERVED, LogObserver
from diptych.log.pages import pages
from diptych.log.protocol import (
    PAGE_EVENTS,
    Boundary,
    EventLog,
    Head,
    Page,
    RecordPage,
    SpanPage,
    StoredKind,
    StreamEvents,
)
from diptych.log.snapshots import Restored, Snapshot, SnapshotStore, restored
from diptych.log.span import Span
from diptych.log.times import last_before
from diptych.log.token import Token
from diptych.log.upcasting import Upcaster, upcasts
from diptych.log.waiting import wait_past

__all__ = [
    "BEGINNING",
    "PAGE_EVENTS",
    "UNOBSERVED",
    "Anchor",
    "Append",
    "Batch",
    "BatchEvent",
    "Bell",
    "Boundary",
    "Codec",
    "Condition",
    "EventCatalogue",
    "EventLog",
    "EventQuery",
    "Facts",
    "FirstOutcome",
    "Head",
    "Lane",
    "LogObserver",
    "Match",
    "Metadata",
    "NewEvent",
    "NoneNewer",
    "Outcome",
    "Page",
    "PlainCodec",
    "RecordPage",
    "Recorded",
    "RecordedEvent",
    "Restored",
    "Snapshot",
    "SnapshotStore",
    "Span",
    "SpanPage",
    "StoredEvent",
    "StoredKind",
    "StreamAt",
    "StreamEvents",
    "Token",
    "Upcaster",
    "Verdicts",
    "Zstd",
    "boundary_conflict",
    "from_microseconds",
    "id_text",
    "in_halves",
    "judge",
    "judge_batch",
    "last_before",
    "pages",
    "repeated",
    "restored",
    "stream_name",
    "stream_range",
    "tag",
    "to_microseconds",
    "upcasts",
    "version_conflict",
    "wait_past",
]
