"""The one workload of all benches: sizes, texts and the order of events. No Diptych and no peer here.

A shop's orders. An order has 10 events: placed, 8 items added, shipped. Every event is about 230 bytes of JSON in
Diptych's log; a note pads it. In a log of many orders their events interleave: `OPEN_ORDERS` are open at any time.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

EVENT_BYTES = 230
EVENTS_PER_ORDER = 10
OPEN_ORDERS = 100

CUSTOMER = "customer-4711"
SKU = "sku-85123A"
PRICE = Decimal("2.55")
QUANTITY = 6
NOTE = ("WHITE HANGING HEART T-LIGHT HOLDER, wrapped as a gift; leave it at the door " * 2)[:128]

EVENT_TYPE = "ItemAdded"
_ITEM = f'"sku":"{SKU}","quantity":{QUANTITY},"price":"{PRICE}"'
EVENT = f'{{"order_id":"order-000000",{_ITEM},"note":"{NOTE}"}}'.encode().ljust(EVENT_BYTES)
"""An event as bytes, for benches below the level of typed events."""


class Step(NamedTuple):
    """An event to come: the number of its order, and its own number in it, 0 to EVENTS_PER_ORDER - 1."""

    order: int
    number: int


def stream_of(number: int) -> str:
    """The stream of the order with this number."""
    return f"order-{number:07}"


def steps(orders: int) -> Iterator[Step]:
    """The events of so many orders, OPEN_ORDERS of them interleaved at a time."""
    for first in range(0, orders, OPEN_ORDERS):
        among = range(first, min(first + OPEN_ORDERS, orders))
        for number in range(EVENTS_PER_ORDER):
            for order in among:
                yield Step(order, number)
