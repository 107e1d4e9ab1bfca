"""The catalogue of a context's events: stored name and schema to class, typed event to stored bytes and back."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from diptych.errors import Malformed, UnreadableEvent
from diptych.log.codec import Codec, PlainCodec
from diptych.log.compression import is_compressed
from diptych.log.conditions import several, tag
from diptych.log.events import (
    Metadata,
    NewEvent,
    Recorded,
    RecordedEvent,
    StoredEvent,
    from_microseconds,
)
from diptych.log.upcasting import Upcaster, chain
from diptych.messages import Event, Shape, check_id, to_json
from diptych.messages.keys import check_keys
from diptych.messages.shape import malformed
from diptych.messages.words import did_you_mean

Decode = Callable[[bytes], Any]

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class EventCatalogue:
    """Encodes and decodes the events of a context. Two classes must not share a stored name: the last one wins here.

    `decoders` has, by stored name and schema, the functions from stored bytes to the events; `retired` the stored names
    of events that the log may hold and that folds pass over. `codec` makes the stored bytes of JSON.
    """

    def __init__(
        self,
        events: Iterable[type[Event]],
        codec: Codec | None = None,
        upcasters: Iterable[Upcaster] = (),
        retired: Iterable[str] = (),
    ) -> None:
        self.retired = frozenset(retired)
        self.codec: Codec = codec or PlainCodec()
        self._plain = isinstance(self.codec, PlainCodec)
        self._kinds = {kind.__declared__.name: kind for kind in events}
        self._shapes: dict[type[Event], Shape[Any]] = {kind: Shape(kind) for kind in self._kinds.values()}
        self._fields = {kind: frozenset(kind.__struct_encode_fields__) for kind in self._kinds.values()}
        steps: dict[type[Event], list[Upcaster]] = defaultdict(list)
        for upcaster in sorted(upcasters, key=lambda one: one.from_schema):
            steps[upcaster.event].append(upcaster)
        self.decoders: Mapping[tuple[str, int], Decode] = {
            (name, schema): decode
            for name, kind in self._kinds.items()
            for schema, decode in self._decoders(kind, steps[kind])
        }
        self._metadata = msgspec.json.Decoder(Metadata).decode

    def __contains__(self, kind: type[Event]) -> bool:
        return kind in self._shapes

    @property
    def names(self) -> frozenset[str]:
        """The stored names of all events here."""
        return frozenset(self._kinds)

    def encode(self, event: Event, event_id: bytes) -> tuple[NewEvent, Event]:
        """The event as it will be stored, and as it will be read back. Raises Malformed where it is not valid."""
        kind = type(event)
        shape = self._shapes.get(kind)
        if shape is None:
            raise Malformed(f"Event {kind.__name__} is not one of this context's")
        try:
            stored, data = shape.validated(event)
            tags = tags_of(stored) if kind.__declared__.tags else ()
        except Malformed as error:
            raise Malformed(f"Event {kind.__name__}: {error.detail}", error.path) from None
        declared = kind.__declared__
        return NewEvent(declared.name, declared.schema, event_id, tags, self.codec.encode(data)), stored

    def received(self, kind: type[Event], data: bytes) -> Event:
        """The event in this JSON, which comes from outside. Raises Malformed.

        A field that it does not have would be lost, so it is refused.
        """
        event: Event = self._shapes[kind].decode(data)
        check_keys(data)
        known = self._fields[kind]
        if not known.issuperset(given := _object(data)):
            name = next(name for name in given if name not in known)
            raise Malformed(f"{kind.__declared__.name} has no field {name!r}{did_you_mean(name, known)}", f"$.{name}")
        return event

    def stored(self, type: str, schema: int | None, data: bytes, event_id: bytes) -> tuple[NewEvent, Event | None]:
        """JSON from outside, of a stored name and schema, as it will be stored, and the event that is in it.

        Without a schema it is of the newest. What is of an older one is kept as it is, and so is a retired event, of
        which there is no more to know. Raises Malformed.
        """
        kind = self._kinds.get(type)
        if kind is None and type in self.retired:
            return NewEvent(type, schema or 1, event_id, (), self.codec.encode(_checked_object(data))), None
        if kind is None:
            raise Malformed(f"There is no event {type!r}{did_you_mean(type, self._kinds)}", "$.type")
        newest = kind.__declared__.schema
        if schema is None or schema == newest:
            event = self.received(kind, data)
            return NewEvent(type, newest, event_id, tags_of(event), self.codec.encode(to_json(event))), event
        decode = self.decoders.get((type, schema))
        if decode is None:
            raise Malformed(f"Event {type!r} cannot be read: {self._unknown(type, schema)}", "$.schema")
        kept = self.codec.encode(_checked_object(data))
        try:
            event = decode(kept)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Malformed(f"Event {type!r} of schema {schema} cannot be read: {error}") from None
        return NewEvent(type, schema, event_id, tags_of(event), kept), event

    def decode(self, stored: StoredEvent | RecordedEvent) -> Event:
        """The event. Raises UnreadableEvent, naming position, stream, type and reason."""
        decode = self.decoders.get((stored.type, stored.schema))
        if decode is None:
            raise self.unreadable(stored, self._unknown(stored.type, stored.schema))
        try:
            event: Event = decode(stored.data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self.unreadable(stored, self.reason(stored.data, str(error))) from None
        return event

    def json(self, stored: StoredEvent | RecordedEvent) -> bytes:
        """The event's JSON, also of a type that this context does not know. Raises UnreadableEvent."""
        try:
            return self.codec.decode(stored.data)
        except ValueError as error:
            raise self.unreadable(stored, str(error)) from None

    def recorded(self, record: RecordedEvent) -> Recorded[Any]:
        """The event together with its record. Raises UnreadableEvent."""
        event = self.decode(record)
        try:
            metadata = self._metadata(record.metadata)
        except msgspec.MsgspecError as error:
            raise self.unreadable(record, f"its metadata: {error}") from None
        return Recorded(
            event=event,
            position=record.position,
            stream=record.stream,
            version=record.version,
            event_id=id_text(record.event_id),
            recorded_at=from_microseconds(record.recorded_at),
            tags=record.tags,
            metadata=metadata,
        )

    def reason(self, data: bytes, otherwise: str) -> str:
        """Why stored data could not be read: it is compressed and there is no codec here, or what is said otherwise."""
        if self._plain and is_compressed(data):
            return "it is compressed, and this context has no codec for that; give it codec=Zstd()"
        return otherwise

    @staticmethod
    def unreadable(stored: StoredEvent | RecordedEvent, reason: str) -> UnreadableEvent:
        """The error that names this event."""
        return UnreadableEvent(stored.position, stored.stream, stored.type, reason)

    def why_unreadable(self, type: str, schema: int) -> str | None:
        """Why events of this stored name and schema cannot be decoded here, or None where they can, or are retired."""
        return None if (type, schema) in self.decoders or type in self.retired else self._unknown(type, schema)

    def _decoders(self, kind: type[Event], steps: list[Upcaster]) -> Iterable[tuple[int, Decode]]:
        """The decoder of each schema of an event that can be read: the newest, and those with upcasters."""
        decode_json: Decode = msgspec.json.Decoder(kind).decode
        decode_stored = self.codec.decode
        newest = kind.__declared__.schema
        yield newest, decode_json if self._plain else lambda data: decode_json(decode_stored(data))
        for number, step in enumerate(steps):
            yield step.from_schema, _in_turn(decode_stored, chain(steps[number:], decode_json))

    def _unknown(self, type: str, schema: int) -> str:
        kind = self._kinds.get(type)
        if kind is None:
            return "this context has no event of that stored name"
        newest = kind.__declared__.schema
        if schema > newest:
            return f"it has schema {schema}, and this context reads schema {newest}: newer code wrote it"
        return f"it has schema {schema}, and this context has no upcaster from there to schema {newest}"


def _checked_object(data: bytes) -> bytes:
    """The same bytes. Raises Malformed unless they are a JSON object in which nothing is said twice."""
    try:
        _object(data)
    except msgspec.ValidationError as error:
        raise malformed(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"This is not JSON: {error}") from None
    check_keys(data)
    return data


def _in_turn(*functions: Decode) -> Decode:
    def decode(data: bytes) -> Any:
        found: Any = data
        for function in functions:
            found = function(found)
        return found

    return decode


def tags_of(event: Event) -> tuple[str, ...]:
    """The tags of an event, `name:value`, in order of declaration; a list gives one for each item. Raises Malformed."""
    return tuple(
        [
            tag(name, check_id(value, f"$.{name}"))
            for name in type(event).__declared__.tags
            for value in several(getattr(event, name))
        ]
    )


def id_text(event_id: bytes) -> str:
    """The usual text form of the 16 bytes of a UUID."""
    digits = event_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
