"""The peer's projections: its ProjectionRunner, and the same without its threads, into a view of `peer_views`."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import InfrastructureFactory, Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import Environment, get_topic

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
from bench.peer_views import ListeningRecorder, OrderSummaries, PostgresSummaries, SqliteSummaries, UnsyncedSummaries
from bench.places import SQLITE, Place
from bench.workload import EVENTS_PER_ORDER, steps

PATIENCE_SECONDS = 120


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


def environment(url: str) -> dict[str, str]:
    """Settings for an application with a subscription; on SQLite its view is in a file of its own."""
    settings = struct_environment(url)
    if "SQLITE_DBNAME" not in settings:
        return settings
    return settings | {
        "APPLICATION_RECORDER_TOPIC": get_topic(ListeningRecorder),
        "SUMMARIES_SQLITE_DBNAME": f"{settings['SQLITE_DBNAME']}.views",
    }


def runner(place: Place, url: str) -> ProjectionRunner[Application[UUID], OrderSummaries]:
    """Its runner, started: it projects in a thread of its own, and has another that pulls."""
    return ProjectionRunner(
        application_class=Application[UUID],
        projection_class=Summaries,
        view_class=_view(place),
        env=environment(url),
    )


def catch_up_with_runner(place: Place, orders: int) -> Contender:
    """Events per second of ProjectionRunner, from its construction to the last commit."""

    def project(url: str, events: int) -> float:
        done = threading.Event()
        start = time.perf_counter()
        with runner(place, url) as running:
            running.view.reached = lambda number: done.set() if number >= events else None
            if running.view.max_tracking_id(running.app_name) != events:
                assert done.wait(PATIENCE_SECONDS)
            seconds = time.perf_counter() - start
            _check(running.view, orders)
        return seconds

    return Contender(f"{NAME}, ProjectionRunner", _on_a_log(place, orders, project))


def catch_up_in_a_loop(place: Place, orders: int, *, unsynced: bool = False) -> Contender:
    """Events per second of the same projection called in a plain loop over its notification log, without threads."""

    def project(url: str, _: int) -> float:
        settings = environment(url)
        start = time.perf_counter()
        factory = InfrastructureFactory[OrderSummaries].construct(Environment(Summaries.name, settings))
        projection = Summaries(factory.tracking_recorder(UnsyncedSummaries if unsynced else _view(place)))
        with closing(Application[UUID](settings)) as application, closing(factory):
            position = 0
            while page := application.recorder.select_notifications(position, 500, inclusive_of_start=False):
                for notification in page:
                    tracking = Tracking(application.name, notification.id)
                    projection.process_event(application.mapper.to_domain_event(notification), tracking)
                position = page[-1].id
            seconds = time.perf_counter() - start
            _check(projection.view, orders)
        return seconds

    return Contender(f"{NAME}, loop{', view unsynced' if unsynced else ''}", _on_a_log(place, orders, project))


def _view(place: Place) -> type[OrderSummaries]:
    return SqliteSummaries if place is SQLITE else PostgresSummaries


def _on_a_log(place: Place, orders: int, project: Callable[[str, int], float]) -> Callable[[Path], dict[str, float]]:
    """Measures on a log of its own: given its URL and length, `project` gives the seconds that it takes."""

    def measure(folder: Path) -> dict[str, float]:
        with place.opened(folder) as url:
            events = _seed(url, orders)
            return {RATE: events / project(url, events)}

    return measure


def _seed(url: str, orders: int) -> int:
    """Its log of so many orders, in the workload's order; gives the number of events."""
    identities = [uuid4() for _ in range(orders)]
    with closing(Application[UUID](struct_environment(url))) as application:
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
