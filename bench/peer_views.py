"""The peer's materialised view on SQLite and on PostgreSQL, and what lets its SQLite log be subscribed to.

Its documentation has such a view as a subclass of a tracking recorder whose methods write a row and the tracking
position in one transaction, one for each event; so it is here. The view has the durability that its recorder leaves it:
WAL and synchronous=FULL on SQLite, where it has no setting for less, and synchronous_commit on PostgreSQL. Diptych's
views are synced less, because they can be filled again from the log; what the peer does with that on SQLite is measured
too, to inform, by a statement that is no setting of its.

Its SQLite recorder cannot be subscribed to, which ProjectionRunner needs. `ListeningRecorder` gives it that, in its own
terms (its ListenNotifySubscription, woken by an event in the process at every insert): the best case for its lag.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import ListenNotifySubscription, StoredEvent, Tracking, TrackingRecorder
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore, SQLiteTrackingRecorder
from psycopg.sql import SQL

CREATE: Final = """
CREATE TABLE IF NOT EXISTS order_summary (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    total BIGINT NOT NULL,
    items BIGINT NOT NULL,
    status TEXT NOT NULL
)
"""
PLACE: Final = "INSERT INTO order_summary VALUES (?, ?, ?, 0, 'placed')"
ADD: Final = "UPDATE order_summary SET total = total + ?, items = items + ? WHERE order_id = ?"
SHIP: Final = "UPDATE order_summary SET status = 'shipped' WHERE order_id = ?"
TOTALS: Final = "SELECT count(*) AS count, coalesce(sum(items), 0) AS sum FROM order_summary"


def nobody(_: int) -> None:
    """For whoever need not be told."""


class OrderSummaries(TrackingRecorder):
    """The view: one row per order, its total in hundredths. Every method is one transaction.

    `reached` is called with a notification's number when its row is committed.
    """

    reached: Callable[[int], None] = staticmethod(nobody)

    def place(self, order_id: UUID, customer_id: str, total: Decimal, tracking: Tracking) -> None:
        """A new row."""
        self.write(PLACE, (order_id.hex, customer_id, int(total * 100)), tracking)

    def add(self, order_id: UUID, amount: Decimal, items: int, tracking: Tracking) -> None:
        """A row's total and count go up."""
        self.write(ADD, (int(amount * 100), items, order_id.hex), tracking)

    def ship(self, order_id: UUID, tracking: Tracking) -> None:
        """A row's status changes."""
        self.write(SHIP, (order_id.hex,), tracking)

    @abstractmethod
    def totals(self) -> tuple[int, int]:
        """Rows, and the sum of their items."""

    @abstractmethod
    def write(self, statement: str, values: tuple[object, ...], tracking: Tracking) -> None:
        """One transaction with a statement on a row, and the position."""


class SqliteSummaries(OrderSummaries, SQLiteTrackingRecorder):
    """On SQLite."""

    def __init__(self, datastore: SQLiteDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.create_table_statements.append(f"{CREATE} WITHOUT ROWID")

    def totals(self) -> tuple[int, int]:
        """Rows, and the sum of their items."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(TOTALS)
            row = cursor.fetchone()
            return row[0], row[1]

    def write(self, statement: str, values: tuple[object, ...], tracking: Tracking) -> None:
        """One transaction with a statement on a row, and the position."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement, values)
        self.reached(tracking.notification_id)


class UnsyncedSummaries(SqliteSummaries):
    """The same with the view's file at synchronous=NORMAL, as Diptych has its views."""

    def __init__(self, datastore: SQLiteDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        with datastore.get_connection(commit=True) as connection:  # the pool's one writer, which stays open
            connection.cursor().execute("PRAGMA synchronous = NORMAL")


class PostgresSummaries(OrderSummaries, PostgresTrackingRecorder):
    """On PostgreSQL."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.sql_create_statements.append(SQL(CREATE).format())

    def totals(self) -> tuple[int, int]:
        """Rows, and the sum of their items."""
        with self.datastore.transaction(commit=False) as cursor:
            row = cursor.execute(TOTALS).fetchone()
            assert row is not None
            return row["count"], row["sum"]

    def write(self, statement: str, values: tuple[object, ...], tracking: Tracking) -> None:
        """One transaction with a statement on a row, and the position."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement.replace("?", "%s").encode(), values)
        self.reached(tracking.notification_id)


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
