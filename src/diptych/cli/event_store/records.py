"""A recorded event as a line: for a person, and as JSON with every field."""

from datetime import datetime

import msgspec

from diptych import BoundedContext, UnreadableEvent
from diptych.cli.output import cut, printable
from diptych.cli.times import shown_time
from diptych.log import Codec, EventCatalogue, Metadata, RecordedEvent, Zstd, from_microseconds, id_text

_encode = msgspec.json.Encoder().encode
_metadata = msgspec.json.Decoder(Metadata).decode
_parse = msgspec.json.Decoder(msgspec.Raw).decode


class Line(msgspec.Struct, frozen=True, gc=False):
    """The JSON of a recorded event, its data as it was kept."""

    position: int
    stream: str
    version: int
    type: str
    schema: int
    event_id: str
    recorded_at: datetime
    tags: tuple[str, ...]
    data: msgspec.Raw
    metadata: Metadata


class Records:
    """Reads records with the codec of a context, or as they stand where no context is given."""

    def __init__(self, context: BoundedContext | None) -> None:
        self._catalogue = EventCatalogue((), _any_codec()) if context is None else context.catalogue
        self._has_context = context is not None

    def data(self, record: RecordedEvent) -> bytes:
        """The event's JSON. Raises UnreadableEvent."""
        data = self._catalogue.json(record)
        try:
            _parse(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._unreadable(record, self._no_json(record.data)) from None
        return data if b"\n" not in data else msgspec.json.format(data, indent=-1)

    def line(self, record: RecordedEvent) -> Line:
        """Everything about it. Raises UnreadableEvent."""
        return Line(
            record.position,
            record.stream,
            record.version,
            record.type,
            record.schema,
            id_text(record.event_id),
            from_microseconds(record.recorded_at),
            record.tags,
            msgspec.Raw(self.data(record)),
            self.metadata(record),
        )

    def as_json(self, record: RecordedEvent) -> str:
        """One line of JSON. Raises UnreadableEvent."""
        return _encode(self.line(record)).decode()

    def as_text(self, record: RecordedEvent, width: int) -> str:
        """One line for a person: position, time, stream@version, type, and what fits of the data."""
        head = (
            f"{record.position:>8}  {shown_time(record.recorded_at)}  {record.stream}@{record.version}  {record.type}"
        )
        head = printable(head)
        data = self.data(record).decode(errors="replace")
        return f"{head}  {cut(data, max(width - len(head) - 2, 24))}"

    def metadata(self, record: RecordedEvent) -> Metadata:
        """Where it comes from. Raises UnreadableEvent."""
        try:
            return _metadata(record.metadata)
        except msgspec.MsgspecError as error:
            raise self._unreadable(record, f"its metadata: {error}") from None

    def _no_json(self, data: bytes) -> str:
        if self._has_context:
            return self._catalogue.reason(data, "its data is no JSON")
        return "its data is no JSON; if its context has a codec, name it with --target"

    @staticmethod
    def _unreadable(record: RecordedEvent, reason: str) -> UnreadableEvent:
        return UnreadableEvent(record.position, record.stream, record.type, reason)


def _any_codec() -> Codec | None:
    """What reads most logs without their context: compressed events too, where that extra is here."""
    try:
        return Zstd()
    except ImportError:
        return None
