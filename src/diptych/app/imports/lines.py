"""A line of an import: the JSON of one event, in the form that `event-store stream --json` prints, most of it optional.

Each line is held to the context's own types, so that nothing comes into the log that could not be read again.
"""

import os
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec

from diptych.app.streams import aggregate_of, category_of, check_belongs, event_of
from diptych.errors import Malformed
from diptych.log import BatchEvent, EventCatalogue, Metadata, NewEvent, RecordedEvent
from diptych.log.conditions import MAX_VERSION
from diptych.messages import check_id
from diptych.messages.shape import malformed
from diptych.messages.values import check_zone
from diptych.write import AggregateRules, uuid7

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Where the event came from, as far as it is known: the metadata of a stored event."""

    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    manual: bool = False
    first_recorded_at: datetime | None = None


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What a line may say. `position` is passed over: it was that of another log."""

    stream: str
    type: str
    data: msgspec.Raw
    schema: Positive | None = None
    version: Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSION)] | None = None
    tags: tuple[str, ...] | None = None
    event_id: UUID | None = None
    recorded_at: datetime | None = None
    metadata: Origin | None = None
    position: int | None = None


class Taken(NamedTuple):
    """An event as it goes into the log, and the version that its line gives it in its stream, if it gives one."""

    event: BatchEvent
    version: int | None


class LineReader:
    """Reads lines for the aggregates and events of a context."""

    def __init__(self, aggregates: Iterable[AggregateRules], catalogue: EventCatalogue) -> None:
        self._aggregates = list(aggregates)
        self._catalogue = catalogue
        self._decode = msgspec.json.Decoder(Line).decode
        self._evolving: dict[tuple[str, str], AggregateRules] = {}

    def read(self, text: bytes, command_id: str) -> Taken:
        """The event of a line; `command_id` is for one that does not name its own. Raises Malformed, NotFound."""
        line = self._line(text)
        event_id = line.event_id.bytes if line.event_id is not None else _new_event_id()
        try:
            new, event = self._catalogue.stored(line.type, line.schema, bytes(line.data), event_id)
        except Malformed as error:
            raise Malformed(error.detail, error.path.replace("$", "$.data", 1)) from None
        if event is not None:
            check_belongs(self._rules(line), line.stream, event)
        else:
            category_of(line.stream)
        if line.tags is not None:
            new = new._replace(tags=tuple([check_id(tag, "$.tags") for tag in line.tags]))
        return Taken(BatchEvent(line.stream, new, _metadata(line, command_id)), line.version)

    def is_of(self, record: RecordedEvent, text: bytes, command_id: str) -> bool:
        """Whether a line, imported, gave this record. Raises what `read` raises."""
        (stream, new, metadata), version = self.read(text, command_id)
        kept = NewEvent(record.type, record.schema, record.event_id, record.tags, self._catalogue.json(record))
        if self._line(text).event_id is None:
            new = new._replace(event_id=record.event_id)
        taken = new._replace(data=self._catalogue.codec.decode(new.data))
        same = (record.stream, record.metadata, kept) == (stream, metadata, taken)
        return same and version in (None, record.version)

    def _line(self, text: bytes) -> Line:
        try:
            return self._decode(text)
        except msgspec.ValidationError as error:
            raise malformed(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"This is not JSON: {error}") from None

    def _rules(self, line: Line) -> AggregateRules:
        """The aggregate that evolves it. Raises Malformed, NotFound."""
        place = category_of(line.stream), line.type
        if (rules := self._evolving.get(place)) is None:
            rules = aggregate_of(self._aggregates, line.stream)
            event_of(rules, line.type)
            self._evolving[place] = rules
        return rules


def _metadata(line: Line, command_id: str) -> bytes:
    origin = line.metadata or _UNKNOWN
    for name in ("command_id", "correlation_id", "causation_id", "actor"):
        if (value := getattr(origin, name)) is not None:
            check_id(value, f"$.metadata.{name}")
    first_recorded_at = origin.first_recorded_at or line.recorded_at
    if first_recorded_at is not None:
        check_zone(first_recorded_at)
    return Metadata(
        command_id=origin.command_id or command_id,
        correlation_id=origin.correlation_id or "",
        causation_id=origin.causation_id or "",
        actor=origin.actor,
        traceparent=origin.traceparent,
        manual=origin.manual,
        first_recorded_at=first_recorded_at,
    ).stored()


_UNKNOWN = Origin()


def _new_event_id() -> bytes:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))
