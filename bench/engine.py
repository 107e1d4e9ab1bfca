"""How the benches open Diptych, and how they fill its log.

Logs are filled through `EventLog.append`, many appends at a time: what a bench then measures is what a program would
find. Command ids and event ids are ordered by time, as Diptych's own are.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from bench.places import made
from bench.shop import ItemAdded, OrderPlaced, OrderShipped
from bench.workload import CUSTOMER, EVENTS_PER_ORDER, NOTE, OPEN_ORDERS, PRICE, QUANTITY, SKU, Step, stream_of
from diptych import Event
from diptych.log import (
    Append,
    Batch,
    BatchEvent,
    Condition,
    EventCatalogue,
    EventLog,
    Metadata,
    NewEvent,
    Outcome,
)
from diptych.stores import store_at
from diptych.write import uuid7

CATALOGUE = EventCatalogue([OrderPlaced, ItemAdded, OrderShipped])

SEEDING_TASKS = 2000

_FINGERPRINT = bytes(16)
_COMMAND_ID = "01890a5d-ac96-774b-bcce-000000000000"
_METADATA = msgspec.json.encode(Metadata(command_id=_COMMAND_ID, correlation_id=_COMMAND_ID, causation_id=_COMMAND_ID))

IMPORTED = Metadata(command_id="import-00000000000000000000000000000000").stored()
"""The metadata of events that come in batches."""


@asynccontextmanager
async def open_log(url: str) -> AsyncIterator[EventLog]:
    """The event log alone, without a context around it; it is made if there is none."""
    async with store_at(await made(url)).log() as log:
        yield log


def file_url(path: Path) -> str:
    """The URL of an SQLite store, from its absolute path."""
    return f"sqlite:///{path}"


def append_of(number: int, stream: str, events: Sequence[NewEvent], condition: Condition | None) -> Append:
    """An append as `execute` makes them, of the command with this number. No bench here reads the metadata."""
    return Append(
        command_id=f"01890a5d-ac96-774b-bcce-{number:012}",
        fingerprint=_FINGERPRINT,
        stream=stream,
        events=events,
        condition=condition,
        metadata=_METADATA,
    )


def event_of(order: int, number: int) -> Event:
    """The event with this number, from 0, of the order with this number."""
    order_id = order_id_of(order)
    if number == 0:
        return OrderPlaced(order_id=order_id, customer_id=CUSTOMER, total=Decimal(), note=NOTE)
    if number == EVENTS_PER_ORDER - 1:
        return OrderShipped(order_id=order_id, note=NOTE)
    return ItemAdded(order_id=order_id, sku=SKU, quantity=QUANTITY, price=PRICE, note=NOTE)


def order_id_of(order: int) -> str:
    """The id of the order whose stream is `stream_of(order)`."""
    return stream_of(order).removeprefix("order-")


async def fill(url: str, steps: Iterable[Step]) -> int:
    """Appends the events of the steps one by one, in their order, to a new log; gives their number."""
    catalogue = CATALOGUE
    async with open_log(url) as log:
        pending: list[asyncio.Task[Outcome]] = []
        count = 0
        for count, (order, number) in enumerate(steps, 1):
            stored, _ = catalogue.encode(event_of(order, number), count.to_bytes(16, "big"))
            pending.append(asyncio.create_task(_append(log, append_of(count, stream_of(order), (stored,), None))))
            if len(pending) == SEEDING_TASKS:
                await asyncio.gather(*pending)
                pending.clear()
        await asyncio.gather(*pending)
        assert (await log.head()).position == count
        return count


async def _append(log: EventLog, append: Append) -> Outcome:
    return await log.append(append)


async def fill_streams(url: str, orders: int, events: int) -> None:
    """Appends so many orders to a new log: one placed event and items, each order's events in one append."""
    async with open_log(url) as log:
        for first in range(0, orders, SEEDING_TASKS):
            appends = [_stream(order, events) for order in range(first, min(first + SEEDING_TASKS, orders))]
            await asyncio.gather(*[log.append(append) for append in appends])


def _stream(order: int, events: int) -> Append:
    typed = [event_of(order, min(number, 1)) for number in range(events)]
    stored = [
        CATALOGUE.encode(event, (order * events + number).to_bytes(16, "big"))[0] for number, event in enumerate(typed)
    ]
    return append_of(order, stream_of(order), stored, None)


async def fill_in_bulk(url: str, events: int) -> None:
    """Appends so many events to a new log in batches: orders of ten events each, OPEN_ORDERS of them by turns."""
    template = order_id_of(0)
    typed = [CATALOGUE.encode(event_of(0, number), bytes(16))[0] for number in range(EVENTS_PER_ORDER)]
    async with open_log(url) as log:
        for first in range(0, events, EVENTS_PER_ORDER * OPEN_ORDERS):
            await log.append_batch(_batch(first, typed, template.encode()))


def _batch(first: int, events: Sequence[NewEvent], template: bytes) -> Batch:
    orders = range(first // EVENTS_PER_ORDER, first // EVENTS_PER_ORDER + OPEN_ORDERS)
    return Batch(
        f"import-{first:032}",
        bytes(16),
        [
            BatchEvent(
                stream_of(order),
                event._replace(
                    event_id=new_event_id(), data=event.data.replace(template, order_id_of(order).encode(), 1)
                ),
                IMPORTED,
            )
            for event in events
            for order in orders
        ],
        {},
    )


def new_event_id() -> bytes:
    """As Diptych gives them."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))
