"""The peer `eventsourcing`: its modes, each as its documentation has it, on the workload of these benches.

Fairness. Its SQLite recorder opens the file in WAL mode and leaves `PRAGMA synchronous` at SQLite's default, which is
FULL: the same durability as Diptych's log. It keeps no ledger of commands and no tags. Its payload has the same fields
with the same values. On PostgreSQL it has a pool of 16 connections, and inserts by functions of its own in the
database, in one call. It is synchronous, so its clients are threads; a bench takes its best number of them, found in
the same run, whatever the number of Diptych's clients.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, DomainEventProtocol, event
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder
from eventsourcing.utils import get_topic, resolve_topic

from bench.harness import RATE, Contender, Settings, best, rate_of_threads
from bench.places import SQLITE, Place
from bench.workload import CUSTOMER, EVENT, EVENT_TYPE, NOTE, PRICE, QUANTITY, SKU

NAME = "eventsourcing"

THREADS = (1, 2, 8)

PROBE_SECONDS = 0.2


def environment_of(url: str, *, cached: bool = False) -> dict[str, str]:
    """Its settings. `cached` is its cache of aggregates, trusted without asking the database: its fastest."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": parts.path.removeprefix("/"),
            "SQLITE_LOCK_TIMEOUT": "30",
        }
    else:
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": "postgres",
            "POSTGRES_HOST": parse_qs(parts.query)["host"][0],
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "none",
            "POSTGRES_POOL_SIZE": "16",
            "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        }
    if cached:
        environment |= {
            "AGGREGATE_CACHE_MAXSIZE": "100000",
            "AGGREGATE_CACHE_FASTFORWARD": "n",
            "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
        }
    return environment


# --- Mode one: declarative aggregates, its own JSON ----------------------------------------------------------------


class DeclaredOrder(Aggregate):
    """An order in the style of its tutorial."""

    @event("Placed")
    def __init__(self, customer_id: str, total: Decimal, note: str) -> None:
        self.customer_id = customer_id
        self.total = total
        self.note = note
        self.items = 0
        self.shipped = False

    @event("ItemAdded")
    def add_item(self, sku: str, quantity: int, price: Decimal, note: str) -> None:
        """Adds an item."""
        self.items += quantity
        self.total += price * quantity

    @event("Shipped")
    def ship(self, note: str) -> None:
        """Ships the order."""
        self.shipped = True


# --- Mode two: immutable aggregates of msgspec Structs, as its examples have them -----------------------------------


def _now() -> datetime:
    return datetime.now(UTC)


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What every event of this mode has."""

    originator_id: UUID
    originator_version: int
    timestamp: datetime = msgspec.field(default_factory=_now)


class Placed(OrderEvent, frozen=True, kw_only=True):
    """As Diptych's OrderPlaced."""

    customer_id: str
    total: Decimal
    note: str


class ItemAdded(OrderEvent, frozen=True, kw_only=True):
    """As Diptych's ItemAdded."""

    sku: str
    quantity: int
    price: Decimal
    note: str


class Shipped(OrderEvent, frozen=True, kw_only=True):
    """As Diptych's OrderShipped."""

    note: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order's state."""

    id: UUID
    version: int
    created_on: datetime
    modified_on: datetime
    total: Decimal
    items: int
    shipped: bool


def fold(order: Order | None, events: Iterable[Any]) -> Order | None:
    """Its projector function, in the shape that its repository takes."""
    for happened in events:
        order = _evolve(order, happened)
    return order


def _evolve(order: Order | None, happened: OrderEvent) -> Order:
    if isinstance(happened, Placed):
        return Order(
            id=happened.originator_id,
            version=happened.originator_version,
            created_on=happened.timestamp,
            modified_on=happened.timestamp,
            total=happened.total,
            items=0,
            shipped=False,
        )
    assert order is not None
    added = isinstance(happened, ItemAdded)
    return Order(
        id=order.id,
        version=happened.originator_version,
        created_on=order.created_on,
        modified_on=happened.timestamp,
        total=order.total + happened.price * happened.quantity if isinstance(happened, ItemAdded) else order.total,
        items=order.items + (happened.quantity if isinstance(happened, ItemAdded) else 0),
        shipped=order.shipped or not added,
    )


class StructMapper(Mapper[UUID]):
    """Events to JSON and back by msgspec alone, the stored columns included, as in its examples."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """The event as it is stored."""
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(type(domain_event)),
            state=msgspec.json.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """The event again."""
        found = msgspec.json.decode(stored_event.state, type=resolve_topic(stored_event.topic))
        return cast(DomainEventProtocol[UUID], found)


class NoTranscoder(Transcoder):
    """In the place of a transcoder, where the mapper needs none."""

    def encode(self, obj: Any) -> bytes:
        """Never called."""
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        """Never called."""
        raise NotImplementedError


def struct_environment(url: str) -> dict[str, str]:
    """The settings of this mode."""
    return environment_of(url) | {
        "MAPPER_TOPIC": get_topic(StructMapper),
        "TRANSCODER_TOPIC": get_topic(NoTranscoder),
    }


# --- Its modes behind one face --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to use it: an application, how an order is placed, and how an item is added by load and save."""

    name: str
    environment: Callable[[str], dict[str, str]]
    place: Callable[[Application[UUID]], UUID]
    add_item: Callable[[Application[UUID], UUID], None]
    load: Callable[[Application[UUID], UUID], object]

    def application(self, url: str) -> Application[UUID]:
        """An application of this mode in a place."""
        return Application[UUID](self.environment(url))


def _place_declared(application: Application[UUID]) -> UUID:
    order = DeclaredOrder(customer_id=CUSTOMER, total=Decimal(), note=NOTE)
    application.save(order)
    return order.id


def _load_declared(application: Application[UUID], order_id: UUID) -> DeclaredOrder:
    order: DeclaredOrder = application.repository.get(order_id)
    return order


def _add_declared(application: Application[UUID], order_id: UUID) -> None:
    order = _load_declared(application, order_id)
    order.add_item(sku=SKU, quantity=QUANTITY, price=PRICE, note=NOTE)
    application.save(order)


def placed(order_id: UUID) -> Placed:
    """The first event of an order."""
    return Placed(originator_id=order_id, originator_version=1, customer_id=CUSTOMER, total=Decimal(), note=NOTE)


def item_added(order_id: UUID, version: int) -> ItemAdded:
    """An item more."""
    return ItemAdded(
        originator_id=order_id, originator_version=version, sku=SKU, quantity=QUANTITY, price=PRICE, note=NOTE
    )


def shipped(order_id: UUID, version: int) -> Shipped:
    """The last event of an order."""
    return Shipped(originator_id=order_id, originator_version=version, note=NOTE)


def save(application: Application[UUID], *events: OrderEvent) -> None:
    """Saves Struct events in one transaction."""
    application.save(*cast(tuple[DomainEventProtocol[UUID], ...], events))


def _place_structs(application: Application[UUID]) -> UUID:
    order_id = uuid4()
    save(application, placed(order_id))
    return order_id


def _load_structs(application: Application[UUID], order_id: UUID) -> Order:
    order: Order = application.repository.get(order_id, projector_func=cast(Any, fold))
    return order


def _add_structs(application: Application[UUID], order_id: UUID) -> None:
    order = _load_structs(application, order_id)
    save(application, item_added(order_id, order.version + 1))


DECLARED = Mode("declared", environment_of, _place_declared, _add_declared, _load_declared)
CACHED = Mode("cached", partial(environment_of, cached=True), _place_declared, _add_declared, _load_declared)
STRUCTS = Mode("structs", struct_environment, _place_structs, _add_structs, _load_structs)
MODES = (DECLARED, CACHED, STRUCTS)


# --- What it is measured at -----------------------------------------------------------------------------------------


def best_append(settings: Settings, threads: Iterable[int], place: Place = SQLITE) -> Contender:
    """Appends of one event by its recorder, below its domain model: bytes in, as Diptych's log takes them."""
    return _best([partial(_append, place, number) for number in threads], settings)


def best_execute_new(
    settings: Settings, threads: Iterable[int], modes: Iterable[Mode] = MODES, place: Place = SQLITE
) -> Contender:
    """Orders placed: a new aggregate, saved."""
    return _best([partial(_new, place, mode, number) for mode in modes for number in threads], settings)


def best_execute_existing(  # noqa: PLR0913 - what is measured
    settings: Settings,
    threads: Iterable[int],
    *,
    orders: int,
    events: int,
    modes: Iterable[Mode] = MODES,
    place: Place = SQLITE,
) -> Contender:
    """Items added to existing orders, which have so many events at first: load, decide, save."""
    return _best(
        [partial(_existing, place, mode, number, orders=orders, events=events) for mode in modes for number in threads],
        settings,
    )


def _best(kinds: list[Callable[[float], Contender]], settings: Settings) -> Contender:
    """The best of some, each given the seconds to measure, in a short measurement of each."""
    if len(kinds) == 1:
        return kinds[0](settings.seconds)
    chosen = best([kind(PROBE_SECONDS) for kind in kinds], settings)
    return next(kind(settings.seconds) for kind in kinds if kind(0).name == chosen.name)


def _append(place: Place, threads: int, seconds: float) -> Contender:
    def measure(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url, closing(Application[UUID](environment_of(url))) as application:
            insert = application.recorder.insert_events

            def work(_: int) -> None:
                insert([StoredEvent(originator_id=uuid4(), originator_version=1, topic=EVENT_TYPE, state=EVENT)])

            return {RATE: rate_of_threads(threads, seconds, work)}

    return Contender(_name("recorder", threads), measure)


def _new(place: Place, mode: Mode, threads: int, seconds: float) -> Contender:
    def measure(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url, closing(mode.application(url)) as application:
            return {RATE: rate_of_threads(threads, seconds, lambda _: mode.place(application))}

    return Contender(_name(mode.name, threads), measure)


def _existing(  # noqa: PLR0913 - what is measured
    place: Place, mode: Mode, threads: int, seconds: float, *, orders: int, events: int
) -> Contender:
    def measure(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url, closing(mode.application(url)) as application:
            identities = seeded(application, mode, orders, events)
            turns = [0] * threads

            def work(number: int) -> None:
                turn = turns[number] * threads + number
                turns[number] += 1
                mode.add_item(application, identities[turn % orders // threads * threads + number])

            return {RATE: rate_of_threads(threads, seconds, work)}

    return Contender(_name(mode.name, threads), measure)


def _name(mode: str, threads: int) -> str:
    return f"{NAME}, {mode}, {threads} thread{'s' if threads > 1 else ''}"


def seeded(application: Application[UUID], mode: Mode, orders: int, events: int) -> list[UUID]:
    """Orders of so many events each, saved in one transaction."""
    identities = [uuid4() for _ in range(orders)]
    if mode is STRUCTS:
        for order_id in identities:
            save(application, placed(order_id), *(item_added(order_id, version) for version in range(2, events + 1)))
        return identities
    made: list[DeclaredOrder] = []
    for _ in identities:
        order = DeclaredOrder(customer_id=CUSTOMER, total=Decimal(), note=NOTE)
        for _number in range(events - 1):
            order.add_item(sku=SKU, quantity=QUANTITY, price=PRICE, note=NOTE)
        made.append(order)
    application.save(*made)
    return [order.id for order in made]
