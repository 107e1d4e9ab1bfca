"""A bounded context: all declarations of one service, read and judged together when it is built."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from diptych.app.app import App
from diptych.app.checks import check_events, check_messages, check_queries, check_upcasters, check_views
from diptych.errors import ContextError, Malformed, NotFound
from diptych.log import UNOBSERVED, Codec, EventCatalogue, EventLog, LogObserver, Upcaster
from diptych.messages import Event
from diptych.messages.words import did_you_mean
from diptych.read import (
    LEASE,
    UNTUNED,
    AnyFold,
    Fold,
    FoldRules,
    InStep,
    Job,
    Projection,
    ProjectionSettings,
    ReadableViews,
    TableFold,
    TableProjection,
    TableRules,
    TwoPlaces,
)
from diptych.read.queries import QueryFunction
from diptych.stores import Store, snapshots_at, store_at
from diptych.worker import projectors_beside
from diptych.write import Aggregate, AggregateRules

UNSET: Mapping[str, ProjectionSettings] = MappingProxyType({})


class BoundedContext:
    """One service's model: its aggregates, projections and queries.

    Building it reads every annotation and raises ContextError with everything that is wrong, each with file and name.
    `upcasters` read events of older schemas; `retired` has the stored names of events that the log may hold and that
    nothing here reads any more. `codec` turns the events' JSON into the stored bytes and back.
    """

    def __init__(  # noqa: PLR0913 - what a context is made of
        self,
        name: str,
        *,
        aggregates: Sequence[Aggregate[Any]] = (),
        projections: Sequence[Projection[Any] | TableProjection] = (),
        queries: Sequence[QueryFunction] = (),
        upcasters: Sequence[Upcaster] = (),
        retired: Sequence[str] = (),
        codec: Codec | None = None,
    ) -> None:
        problems: list[str] = []
        if not name or not name.isprintable() or "/" in name:
            problems.append(f"the name {name!r} must be printable and without a slash: it is part of addresses")
        self.name = name
        self.aggregates = [AggregateRules(aggregate, problems) for aggregate in aggregates]
        rules = check_views(projections, problems)
        self.events = _events(self.aggregates, [event for fold in rules for event in fold.rules])
        check_messages(self.aggregates, problems)
        check_events(self.events, problems)
        check_upcasters(self.events, upcasters, retired, problems)
        self.queries = check_queries(queries, problems)
        if problems:
            raise ContextError(name, list(dict.fromkeys(problems)))
        self.catalogue = EventCatalogue(self.events, codec, upcasters, retired)
        self.folds = [_fold(rule, self.catalogue) for rule in rules]

    def unknown_projections(self, names: Iterable[str]) -> list[str]:
        """A sentence for each name that is not the view of a projection here, with the nearest that is."""
        known = [fold.shape.name for fold in self.folds]
        return [
            f"Context {self.name!r} has no projection {name!r}{did_you_mean(name, known)}"
            for name in names
            if name not in known
        ]

    def jobs(self, settings: Mapping[str, ProjectionSettings] = UNSET) -> list[Job]:
        """What a worker of this context runs: every projection, tuned by the name of its view.

        Raises Malformed where a table projection is to have several segments.
        """
        for fold in self.folds:
            name = fold.shape.name
            if isinstance(fold, TableFold) and settings.get(name, UNTUNED).segments > 1:
                raise Malformed(f"{name} cannot have segments: the SQL of a TableProjection may touch any row.")
        return [Job(fold, settings.get(fold.shape.name, UNTUNED)) for fold in self.folds]

    def log(self, store: Store, observer: LogObserver = UNOBSERVED) -> AbstractAsyncContextManager[EventLog]:
        """Opens the log of a store to append to it as this context does. See `Store.log` for what it raises."""
        return store.log(observer, self.name, InStep([fold for fold in self.folds if isinstance(fold, Fold)]))

    @asynccontextmanager
    async def open(  # noqa: PLR0913 - where and how it is opened
        self,
        url: str,
        *,
        projectors: bool = True,
        projections: Mapping[str, ProjectionSettings] = UNSET,
        lease: timedelta = LEASE,
        snapshots: str | None = None,
        observer: LogObserver = UNOBSERVED,
    ) -> AsyncGenerator[App]:
        """The context on a store: `sqlite:///shop.db`, `postgresql://host/shop`, or `memory://` for a trial.

        Its projections run meanwhile; without `projectors` they run elsewhere, or nowhere. `projections` tunes them, by
        the names of their views. Others' segments are taken over once their workers are silent for the time of `lease`.
        Snapshots of streams are kept in the store, or where the URL `snapshots` says: `file:///var/lib/shop` or
        `s3://bucket/shop`. `observer` hears of the log's commits.

        Raises Malformed (no such kind of store, or one that cannot run a TableProjection), NotFound (a tuned projection
        that the context does not have), Unavailable (the store cannot be reached), NotAStore (something else is there,
        or another context's log).
        """
        if unknown := self.unknown_projections(projections):
            raise NotFound(" ".join(unknown))
        store = store_at(url)
        place = store if snapshots is None else snapshots_at(snapshots)
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(self.log(store, observer))
            views = await stack.enter_async_context(views_of(store, self.folds))
            kept = await stack.enter_async_context(place.snapshots(log))
            if projectors:
                await stack.enter_async_context(projectors_beside(store, self.jobs(projections), lease))
            app = App(
                aggregates=self.aggregates,
                catalogue=self.catalogue,
                queries=self.queries,
                shapes=[fold.shape for fold in self.folds],
                log=log,
                views=views,
                snapshots=kept,
            )
            try:
                yield app
            finally:
                await app.close()


@asynccontextmanager
async def views_of(store: Store, folds: Sequence[AnyFold]) -> AsyncGenerator[ReadableViews]:
    """Where queries read the views, each in its place."""
    kinds = {fold.shape.sync for fold in folds}
    async with store.views(in_step=kinds == {True}) as views:
        if not store.apart or len(kinds) < 2:
            yield views
            return
        async with store.views(in_step=True) as kept:
            yield TwoPlaces(views, kept)


def _fold(rules: FoldRules[Any] | TableRules, catalogue: EventCatalogue) -> Fold[Any] | TableFold:
    return TableFold(rules, catalogue) if isinstance(rules, TableRules) else Fold(rules, catalogue)


def _events(aggregates: Iterable[AggregateRules], projected: Iterable[type[Event]]) -> list[type[Event]]:
    found: dict[type[Event], None] = {}
    for aggregate in aggregates:
        for event in sorted(aggregate.events, key=lambda kind: kind.__name__):
            found[event] = None
    for event in projected:
        found[event] = None
    return list(found)
