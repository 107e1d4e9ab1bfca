"""The peer's projections on SQLite: its ProjectionRunner, and the same without its threads, into a view in SQL.

Its documentation has a materialised view as a subclass of a tracking recorder whose methods write a row and the
tracking position in one transaction, one for each event; so it is here. The view's file has WAL and synchronous=FULL,
as its recorder leaves them: it has no setting for less. Diptych's views are at NORMAL, because they can be filled again
from the log; what the peer does there is measured too, to inform, by a statement that is no setting of its.

Its SQLite recorder cannot be subscribed to, which ProjectionRunner needs. `ListeningRecorder` gives it that, in its own
terms (its ListenNotifySubscription, woken by an event in the process at every insert): the best case for its lag.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import InfrastructureFactory, ListenNotifySubscription, StoredEvent, Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore, SQLiteTrackingRecorder
from eventsourcing.utils import Environment, get_topic

from bench.engine import file_url
from bench.harness import RATE, Contender
from bench.peer_eventsourcing import (
    NAME,
    ItemAdded,
    Placed,
    Shipped,
    item_added,
    placed,
    save,
    shipped,
    struct_environment,
)
from bench.workload import EVENTS_PER_ORDER, steps

CREATE: Final = """
CREATE TABLE IF NOT EXISTS order_summary (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    total INTEGER NOT NULL,
    items INTEGER NOT NULL,
    status TEXT NOT NULL
) WITHOUT ROWID
"""
PLACE: Final = "INSERT INTO order_summary VALUES (?, ?, ?, 0, 'placed')"
ADD: Final = "UPDATE order_summary SET total = total + ?, items = items + ? WHERE order_id = ?"
SHIP: Final = "UPDATE order_summary SET status = 'shipped' WHERE order_id = ?"

PATIENCE_SECONDS = 120


class OrderSummaries(SQLiteTrackingRecorder):
    """The materialised view: one row per order, its total in hundredths. Every method is one transaction.

    `reached` is called with a notification's number when its row is committed.
    """

    def __init__(self, datastore: SQLiteDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.create_table_statements.append(CREATE)
        self.reached: Callable[[int], None] = lambda _: None

    def place(self, order_id: UUID, customer_id: str, total: Decimal, tracking: Tracking) -> None:
        """A new row."""
        self._write(PLACE, (order_id.hex, customer_id, int(total * 100)), tracking)

    def add(self, order_id: UUID, amount: Decimal, items: int, tracking: Tracking) -> None:
        """A row's total and count go up."""
        self._write(ADD, (int(amount * 100), items, order_id.hex), tracking)

    def ship(self, order_id: UUID, tracking: Tracking) -> None:
        """A row's status changes."""
        self._write(SHIP, (order_id.hex,), tracking)

    def totals(self) -> tuple[int, int]:
        """Rows, and the sum of their items."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT count(*), coalesce(sum(items), 0) FROM order_summary")
            row = cursor.fetchone()
            return row[0], row[1]

    def _write(self, statement: str, values: tuple[object, ...], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement, values)
        self.reached(tracking.notification_id)


class UnsyncedSummaries(OrderSummaries):
    """The same with the view's file at synchronous=NORMAL, as Diptych has its views."""

    def __init__(self, datastore: SQLiteDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        with datastore.get_connection(commit=True) as connection:  # the pool's one writer, which stays open
            connection.cursor().execute("PRAGMA synchronous = NORMAL")


class Summaries(Projection[OrderSummaries]):
    """The projection."""

    name = "summaries"

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Applies an event and commits."""
        raise TypeError(domain_event)

    @process_event.register
    def _(self, happened: Placed, tracking: Tracking) -> None:
        self.view.place(happened.originator_id, happened.customer_id, happened.total, tracking)

    @process_event.register
    def _(self, happened: ItemAdded, tracking: Tracking) -> None:
        self.view.add(happened.originator_id, happened.price * happened.quantity, happened.quantity, tracking)

    @process_event.register
    def _(self, happened: Shipped, tracking: Tracking) -> None:
        self.view.ship(happened.originator_id, tracking)


class ListeningRecorder(SQLiteApplicationRecorder):
    """Its SQLite recorder, which wakes subscriptions of its process after every insert."""

    def __init__(self, datastore: SQLiteDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.listeners: set[threading.Event] = set()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Inserts, then wakes."""
        numbers = super().insert_events(stored_events, **kwargs)
        for listener in self.listeners:
            listener.set()
        return numbers

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> "ListeningSubscription":
        """A subscription that is woken."""
        return ListeningSubscription(self, gt, topics)


class ListeningSubscription(ListenNotifySubscription[ListeningRecorder]):
    """Its subscription with a thread that pulls pages of 500, as for its other databases."""

    def __init__(self, recorder: ListeningRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        recorder.listeners.add(self._has_been_notified)

    def stop(self) -> None:
        """Stops, and is woken no more."""
        super().stop()
        self._recorder.listeners.discard(self._has_been_notified)


def environment(folder: Path) -> dict[str, str]:
    """Settings for an application with a subscription, and a view in a file of its own."""
    return struct_environment(file_url(folder / "peer.db")) | {
        "APPLICATION_RECORDER_TOPIC": get_topic(ListeningRecorder),
        "SUMMARIES_SQLITE_DBNAME": str(folder / "peer.views.db"),
    }


def runner(folder: Path) -> ProjectionRunner[Application[UUID], OrderSummaries]:
    """Its runner, started: it projects in a thread of its own, and has another that pulls."""
    return ProjectionRunner(
        application_class=Application[UUID],
        projection_class=Summaries,
        view_class=OrderSummaries,
        env=environment(folder),
    )


def catch_up_with_runner(orders: int) -> Contender:
    """Events per second of ProjectionRunner, from its construction to the last commit."""

    def measure(folder: Path) -> dict[str, float]:
        events = _seed(folder, orders)
        done = threading.Event()
        start = time.perf_counter()
        with runner(folder) as running:
            running.view.reached = lambda number: done.set() if number >= events else None
            if running.view.max_tracking_id(running.app_name) != events:
                assert done.wait(PATIENCE_SECONDS)
            seconds = time.perf_counter() - start
            _check(running.view, orders)
        return {RATE: events / seconds}

    return Contender(f"{NAME}, ProjectionRunner", measure)


def catch_up_in_a_loop(orders: int, view: type[OrderSummaries] = OrderSummaries) -> Contender:
    """Events per second of the same projection called in a plain loop over its notification log, without threads."""

    def measure(folder: Path) -> dict[str, float]:
        events = _seed(folder, orders)
        settings = environment(folder)
        start = time.perf_counter()
        factory = InfrastructureFactory[OrderSummaries].construct(Environment(Summaries.name, settings))
        projection = Summaries(factory.tracking_recorder(view))
        with closing(Application[UUID](settings)) as application, closing(factory):
            position = 0
            while page := application.recorder.select_notifications(position, 500, inclusive_of_start=False):
                for notification in page:
                    tracking = Tracking(application.name, notification.id)
                    projection.process_event(application.mapper.to_domain_event(notification), tracking)
                position = page[-1].id
            seconds = time.perf_counter() - start
            _check(projection.view, orders)
        return {RATE: events / seconds}

    unsynced = ", view unsynced" if view is UnsyncedSummaries else ""
    return Contender(f"{NAME}, loop{unsynced}", measure)


def _seed(folder: Path, orders: int) -> int:
    """Its log of so many orders, in the workload's order; gives the number of events."""
    identities = [uuid4() for _ in range(orders)]
    with closing(Application[UUID](struct_environment(file_url(folder / "peer.db")))) as application:
        save(
            application,
            *(
                placed(identities[order])
                if number == 0
                else item_added(identities[order], number + 1)
                if number < EVENTS_PER_ORDER - 1
                else shipped(identities[order], number + 1)
                for order, number in steps(orders)
            ),
        )
    return orders * EVENTS_PER_ORDER


def _check(view: OrderSummaries, orders: int) -> None:
    """That the work was done."""
    rows, items = view.totals()
    assert rows == orders
    assert items > 0
