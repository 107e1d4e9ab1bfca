"""What a store holds that a context cannot read: told by the kinds of events in the log, or by every event."""

import asyncio
from collections.abc import Iterable

import msgspec

from diptych import UnreadableEvent
from diptych.log import EventCatalogue, EventLog, StoredEvent
from diptych.stores import Store, without_password

PAGE_EVENTS = 500


class Unreadable(msgspec.Struct):
    """Stored events of one type and schema that the context cannot read, and the first of them."""

    type: str
    schema: int
    position: int
    reason: str


class Stored(msgspec.Struct, frozen=True):
    """What was found in a store. `kinds` counts the types and schemas there; `decoded` the events that were read."""

    store: str
    events: int
    kinds: int
    decoded: int
    unreadable: list[Unreadable]


Found = dict[tuple[str, int], Unreadable]


async def stored_in(url: str, store: Store, catalogue: EventCatalogue, *, thorough: bool) -> Stored:
    """Looks at the kinds of events and decodes the first of each, or, if it is to be thorough, every one."""
    async with store.log() as log:
        kinds = await log.kinds()
        found = {
            (kind.type, kind.schema): Unreadable(*kind, reason)
            for kind in kinds
            if (reason := catalogue.why_unreadable(kind.type, kind.schema)) is not None
        }
        events = (await log.head()).position
        if thorough:
            await _decode_all(log, events, catalogue, found)
        else:
            for kind in kinds:
                _decode((await log.read(kind.position - 1, 1)).events, catalogue, found)
        decoded = events if thorough else len(kinds)
        return Stored(without_password(url), events, len(kinds), decoded, list(found.values()))


async def _decode_all(log: EventLog, end: int, catalogue: EventCatalogue, found: Found) -> None:
    position = 0
    while position < end:
        page = await log.read(position, min(PAGE_EVENTS, end - position))
        _decode(page.events, catalogue, found)
        position = page.upto.position
        await asyncio.sleep(0)  # Ctrl-C comes in between


def _decode(events: Iterable[StoredEvent], catalogue: EventCatalogue, found: Found) -> None:
    """Adds the kinds that have an event here that cannot be read."""
    for event in events:
        kind = (event.type, event.schema)
        if kind in found or event.type in catalogue.retired:
            continue
        try:
            catalogue.decode(event)
        except UnreadableEvent as error:
            found[kind] = Unreadable(*kind, event.position, error.reason)


def told(stored: Stored) -> list[str]:
    """What was found in the store, as lines."""
    if not stored.unreadable:
        events = f"{stored.events:,} event{'' if stored.events == 1 else 's'}"
        if stored.decoded == stored.events:
            return ["", f"It can read every event of {stored.store}: {events}, each was decoded."]
        kinds = f"{stored.kinds:,} {'kind' if stored.kinds == 1 else 'kinds'}"
        return ["", f"It can read {kinds} of events in {stored.store}, told by the first of each: {events} in all."]
    lines = ["", f"It cannot read every event of {stored.store}:"]
    for one in stored.unreadable:
        lines.append(f"  {one.type}, schema {one.schema}, first at position {one.position}")
        lines.append(f"    {one.reason}")
    return lines
