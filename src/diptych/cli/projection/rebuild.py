"""`diptych projection rebuild`: views are filled again beside those in use, and replace them then."""

import asyncio
import shlex
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Annotated, NamedTuple

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from diptych.cli.options import Json, StoreUrl, Switch, Target
from diptych.cli.places import existing_store, store_url
from diptych.cli.projection.audit import comparable, compared
from diptych.cli.projection.names import AFold, fold_named, of_rows
from diptych.cli.target import context_at, target_or_configured
from diptych.cli.times import typed_time
from diptych.cli.words import DONE, INTERRUPTED, NO, WRONG_USE, Stop, say
from diptych.cli.work import Work, projecting
from diptych.log import Anchor, EventLog, last_before
from diptych.progress import Progress, progress_on, shown
from diptych.read import AnyFold, Job, ProjectionSettings, ProjectionWorker, Rebuild, Stopped, ViewStore, numbered
from diptych.stores import Store
from diptych.worker import gone, new_identity

AT_ONCE = 2
"""Views that one command fills at a time."""

MOST_WORKERS = 64


class Rebuilt(msgspec.Struct, frozen=True):
    """The generation that is live now; `began_at` is more than 0 where it did not begin with the first event."""

    view: str
    generation: int
    began_at: int
    position: int
    parked: int
    seconds: float


class Plan(NamedTuple):
    """How views are rebuilt: by how many workers, from where, and what becomes of the generation before."""

    workers: int
    anew: bool
    keep: bool
    with_letters: bool
    since: int | None


def rebuild(  # noqa: PLR0913 - the options that this command has
    *names: str,
    workers: Annotated[int, Parameter(metavar="N", validator=Number(gte=1, lte=MOST_WORKERS))] = 1,
    from_timestamp: Annotated[str | None, Parameter(metavar="TIME")] = None,
    keep: Annotated[bool, Switch] = False,
    with_letters: Annotated[bool, Switch] = False,
    anew: Annotated[bool, Switch] = False,
    dry_run: Annotated[bool, Switch] = False,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    """Fill views again from the log, beside those in use, and switch when they have caught up.

    After a handler was mended, with or without a server at work on the store:

        diptych projection rebuild OrderSummary --target shop:shop --store sqlite:///shop.db

    A view answers and goes on being projected meanwhile. A rebuild that was stopped or killed goes on where it was.

    Parameters
    ----------
    names:
        The views; two of them are filled at a time.
    workers:
        Processes that fill a view together. The view is divided into as many segments, and stays so.
    from_timestamp:
        Begin with the rows that there are, and apply what was recorded then or later again: only for a projection that
        is declared `replayable`.
    keep:
        Keep the generation that is replaced, until `projection drop`.
    with_letters:
        Switch also where more dead letters are left than before.
    anew:
        Throw away what an unfinished rebuild has filled: right after a change of its handlers.
    dry_run:
        Fill and switch nothing: say how the rows would differ from those in use, and exit with 1 if they would.
    """
    context = context_at(target)
    folds = [fold_named(context, name) for name in dict.fromkeys(names)]
    if not folds:
        raise Stop("which view? Name one or several, as `diptych projection status` lists them", WRONG_USE)
    place = existing_store(store)
    with progress_on(sys.stderr) as progress:
        if dry_run:
            return asyncio.run(compared([comparable(fold) for fold in folds], place, progress, json=json))
        plan = Plan(workers, anew, keep, with_letters, None if from_timestamp is None else typed_time(from_timestamp))
        for fold in folds:
            check_plan(fold, plan)
        helpers = Helpers(target_or_configured(target) or "", store_url(store), workers - 1)
        options = again(plan, target, store)
        came_to = asyncio.run(Filling(plan, helpers, progress).run(folds, place, options))
    for one in came_to:
        if isinstance(one, Rebuilt):
            sys.stdout.write((msgspec.json.encode(one).decode() if json else in_words(one)) + "\n")
        else:
            say(str(one), NO)
    return DONE if all(isinstance(one, Rebuilt) for one in came_to) else NO


def again(plan: Plan, target: str | None, store: str | None) -> list[str]:
    """The options to go on with: how it began does not matter any more."""
    options = ["--workers", str(plan.workers)] if plan.workers > 1 else []
    options += ["--keep"] if plan.keep else []
    options += ["--with-letters"] if plan.with_letters else []
    return [*options, *given("--target", target), *given("--store", store)]


def check_plan(fold: AFold, plan: Plan) -> None:
    """Raises Stop where events must not be applied again to rows that have them, or workers cannot share."""
    if plan.workers > 1:
        of_rows(fold, "its SQL may touch any row, so one worker fills it")
    if plan.since is not None and not fold.replayable:
        raise Stop(
            f"{fold.shape.name} cannot be rebuilt from a time: its handlers would apply events to rows that have them "
            "already. If that does no harm to it, declare it so: Projection(..., replayable=True); or rebuild it whole",
            WRONG_USE,
        )


def given(option: str, value: str | None) -> list[str]:
    return [] if value is None else [option, value]


class Helpers(NamedTuple):
    """Processes that fill with this one."""

    target: str
    store: str
    number: int

    @asynccontextmanager
    async def at_work(self, view: str, generation: int, settings: ProjectionSettings) -> AsyncGenerator[None]:
        """Has them come and fill a generation meanwhile. One that cannot start has said why, and is done without."""
        work = Work(self.target, self.store, "warning", {view: settings}, rebuilds={view: generation})
        helpers = [projecting("a process that fills", work) for _ in range(self.number)]
        coming = [asyncio.create_task(helper.start()) for helper in helpers]
        try:
            yield
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
            await asyncio.gather(*[helper.stop() for helper in helpers])


class Filling(NamedTuple):
    """What one command fills: how, with whose help, and where that is shown."""

    plan: Plan
    helpers: Helpers
    progress: Progress

    async def run(self, folds: Sequence[AnyFold], store: Store, again: Sequence[str]) -> list[Rebuilt | Stopped]:
        """Fills and switches, each view by itself. Raises Stop where it is interrupted: how to go on, with `again`."""
        async with store.log() as log:
            turns = asyncio.Semaphore(AT_ONCE)

            async def in_turn(fold: AnyFold) -> Rebuilt | Stopped:
                async with turns, store.views(in_step=fold.shape.sync) as views:
                    try:
                        return await self.fill(fold, log, views)
                    except Stopped as stopped:
                        return stopped

            tasks = {fold.shape.name: asyncio.create_task(in_turn(fold)) for fold in folds}
            try:
                return list(await asyncio.gather(*tasks.values()))
            except asyncio.CancelledError:  # what asyncio makes of Ctrl-C
                left = [view for view, task in tasks.items() if not task.done() or task.cancelled()]
                if not left:
                    return [task.result() for task in tasks.values()]
                go_on = shlex.join(["diptych", "projection", "rebuild", *left, *again])
                words = "stopped; what is filled is kept, and the views answer as before"
                raise Stop(f"{words}. Go on with: {go_on}", INTERRUPTED) from None
            finally:
                for task in tasks.values():
                    task.cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def fill(self, fold: AnyFold, log: EventLog, views: ViewStore) -> Rebuilt:
        """One view, filled and live."""
        began, plan, view = perf_counter(), self.plan, fold.shape.name
        rebuild = Rebuild(fold, log, views)
        generation = await rebuild.begin(plan.workers, anew=plan.anew, onto=await anchor_of(plan.since, log))
        self.progress.note(beginning(view, rebuild))
        settings = ProjectionSettings(segments=len(generation.checkpoints))
        worker = ProjectionWorker(
            new_identity(), [Job(fold, settings, rebuild.number, rebuild.idle)], log, views, gone=gone
        )
        try:
            async with (
                shown(self.progress, view, lambda: rebuild.position, lambda: rebuild.head),
                worker.at_work(),
                self.helpers.at_work(view, rebuild.number, settings),
            ):
                live = await rebuild.finish(keep=plan.keep, with_letters=plan.with_letters)
        except asyncio.CancelledError:  # which may come when it is live already
            found = numbered(await views.generations(fold.shape), rebuild.number)
            if found is None or not found.live:
                raise
            live = found
        seconds = round(perf_counter() - began, 3)
        return Rebuilt(view, live.number, rebuild.began_at, live.position, live.parked, seconds)


async def anchor_of(since: int | None, log: EventLog) -> Anchor | None:
    """The last event before a time."""
    return None if since is None else await log.anchor(await last_before(log, since))


def beginning(view: str, rebuild: Rebuild) -> str:
    where = f"goes on after event {rebuild.began_at:,}" if rebuild.began_at else "begins with the first event"
    return f"Generation {rebuild.number} of {view} {where}"


def in_words(rebuilt: Rebuilt) -> str:
    events, seconds = rebuilt.position - rebuilt.began_at, rebuilt.seconds
    said = f"{rebuilt.view} is rebuilt: generation {rebuilt.generation} is live, {events:,} events in {seconds:.1f} s."
    if not rebuilt.parked:
        return said
    return f"{said} {rebuilt.parked:,} {'key is' if rebuilt.parked == 1 else 'keys are'} held back by dead letters."
