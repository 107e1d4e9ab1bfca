"""Events as the log keeps them: new ones on their way in, recorded ones on their way out, bytes in both."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import msgspec

from diptych.log.conditions import Condition
from diptych.messages import Event

E_co = TypeVar("E_co", bound=Event, covariant=True)

_json = msgspec.json.Encoder().encode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Metadata(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where an event comes from. `traceparent` is the W3C trace context of the caller.

    Correlation and causation are the command itself where it belongs to nothing else; they are not stored then.
    `manual` marks an event that no decision led to: someone recorded it as it stands. `first_recorded_at` is when an
    event that was imported was recorded where it came from.
    """

    command_id: str
    correlation_id: str = ""
    causation_id: str = ""
    actor: str | None = None
    traceparent: str | None = None
    manual: bool = False
    first_recorded_at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("correlation_id", "causation_id"):
            if not getattr(self, name):
                msgspec.structs.force_setattr(self, name, self.command_id)

    def stored(self) -> bytes:
        """The JSON that an event carries: what does not follow from the rest."""
        fields: dict[str, object] = {"command_id": self.command_id}
        for name in ("correlation_id", "causation_id"):
            if (value := getattr(self, name)) != self.command_id:
                fields[name] = value
        for name in ("actor", "traceparent", "manual", "first_recorded_at"):
            if (value := getattr(self, name)) not in (None, False):
                fields[name] = value
        return _json(fields)


class NewEvent(NamedTuple):
    """An event to be appended. `data` is the codec's output, a tag is `name:value`, `event_id` is a UUIDv7."""

    type: str
    schema: int
    event_id: bytes
    tags: tuple[str, ...]
    data: bytes


class Append(NamedTuple):
    """The events of one command for one stream, kept all or none; `events` may be empty, and the command still counts.

    `fingerprint` is a digest of the command's body, by which a repeated command id is told from a reused one.
    `metadata` is what a Metadata has stored.
    """

    command_id: str
    fingerprint: bytes
    stream: str
    events: Sequence[NewEvent]
    condition: Condition | None
    metadata: bytes


class BatchEvent(NamedTuple):
    """An event of a batch: the stream that it goes to, and the metadata of its own."""

    stream: str
    event: NewEvent
    metadata: bytes


class Batch(NamedTuple):
    """Events of any streams that come in at once, as those of an import: kept all or none, in this order.

    There is at least one event. `expected` has the streams that must be at a version before, and which; `command_id`
    and `fingerprint` are as an append's.
    """

    command_id: str
    fingerprint: bytes
    events: Sequence[BatchEvent]
    expected: Mapping[str, int]


class Outcome(NamedTuple):
    """What became of an append that was kept.

    `position` is that of its last event, or of the log's head where it has none; `version` is the stream's after it;
    `types` are the stored names of its events, in order. The stream of a batch is that of its last event.
    """

    command_id: str
    fingerprint: bytes
    position: int
    stream: str
    version: int
    types: tuple[str, ...]


class FirstOutcome(Outcome):
    """The outcome of an append that was kept just now, and so not that of the same command before.

    A log that cannot tell the two apart gives an Outcome.
    """

    __slots__ = ()


class RecordedEvent(NamedTuple):
    """An event as it stands in the log. `recorded_at` is microseconds since 1970 UTC and never falls with position."""

    position: int
    stream: str
    version: int
    type: str
    schema: int
    event_id: bytes
    recorded_at: int
    tags: tuple[str, ...]
    data: bytes
    metadata: bytes


class StoredEvent(NamedTuple):
    """The part of a recorded event that a fold needs."""

    position: int
    stream: str
    type: str
    schema: int
    data: bytes


class Recorded(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True, gc=False):
    """An event together with its record: where and when it was kept, by whom and why."""

    event: E_co
    position: int
    stream: str
    version: int
    event_id: str
    recorded_at: datetime
    tags: tuple[str, ...]
    metadata: Metadata


class Anchor(NamedTuple):
    """A position and the id of the event there, by which a log that lost or changed its tail is noticed.

    Position 0 with an empty id stands before the first event.
    """

    position: int
    event_id: bytes


BEGINNING = Anchor(0, b"")


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware time, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The aware UTC time of microseconds since 1970, exactly."""
    return _EPOCH + timedelta(microseconds=value)
