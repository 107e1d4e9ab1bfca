"""What a store holds that a context cannot read: told by the kinds of events in the log, or by every event."""

import asyncio

import msgspec

from diptych import UnreadableEvent
from diptych.config import masked
from diptych.log import EventCatalogue, EventLog
from diptych.stores import Store

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


async def stored_in(url: str, store: Store, catalogue: EventCatalogue, *, thorough: bool) -> Stored:
    """Looks at the kinds of events, or, if it is to be thorough, decodes every one."""
    async with store.log() as log:
        kinds = await log.kinds()
        found = {
            (kind.type, kind.schema): Unreadable(*kind, reason)
            for kind in kinds
            if (reason := catalogue.why_unreadable(kind.type, kind.schema)) is not None
        }
        events = (await log.head()).position
        if thorough:
            await _decode(log, events, catalogue, found)
        return Stored(masked(url), events, len(kinds), events if thorough else 0, list(found.values()))


async def _decode(log: EventLog, end: int, catalogue: EventCatalogue, found: dict[tuple[str, int], Unreadable]) -> None:
    position = 0
    while position < end:
        page = await log.read(position, min(PAGE_EVENTS, end - position))
        for event in page.events:
            kind = (event.type, event.schema)
            if kind in found or event.type in catalogue.retired:
                continue
            try:
                catalogue.decode(event)
            except UnreadableEvent as error:
                found[kind] = Unreadable(*kind, event.position, error.reason)
        position = page.upto.position
        await asyncio.sleep(0)  # Ctrl-C comes in between


def told(stored: Stored) -> list[str]:
    """What was found in the store, as lines."""
    if not stored.unreadable:
        events = f"{stored.events:,} event{'' if stored.events == 1 else 's'}"
        how = "each was decoded" if stored.decoded or not stored.events else "told by their types and schemas"
        return ["", f"It can read every event of {stored.store}: {events}, {how}."]
    lines = ["", f"It cannot read every event of {stored.store}:"]
    for one in stored.unreadable:
        lines.append(f"  {one.type}, schema {one.schema}, first at position {one.position}")
        lines.append(f"    {one.reason}")
    return lines
