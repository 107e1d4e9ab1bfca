"""The entry point: one app of all commands."""

from collections.abc import Sequence

from cyclopts import App

from diptych import __version__
from diptych.cli import config, event_store, projection, snapshot, store
from diptych.cli.check import check
from diptych.cli.completion import installer
from diptych.cli.demo import demo
from diptych.cli.new import new
from diptych.cli.serve import serve
from diptych.cli.spoken import spoken

HELP = """CQRS for Python: commands are decided, events kept, queries answered.

See it run; then make a project of your own, with tests that pass:

    diptych demo
    diptych new bakery

`--help` behind any command shows an example of it. Exit codes: 0 done, 1 the
answer is no, 2 wrong use, 3 the store cannot be reached, 130 stopped.
"""

EVENT_STORE_HELP = r"""Look into the log, tell an aggregate's story, record a fact by hand, import many.

What happened today, and how one order came to its state:

    diptych event-store stream 2026-01-31 --store sqlite:///shop.db
    diptych event-store replay order-536365 \
        --target shop:shop --store sqlite:///shop.db
"""

PROJECTION_HELP = """See how the views stand, mend what one holds back, fill one again, pause one.

Those of a shop, and what one of them holds back, before and after its handler
was mended:

    export DIPTYCH_TARGET=shop:shop DIPTYCH_STORE=sqlite:///shop.db
    diptych projection status
    diptych projection letters OrderSummary
    diptych projection retry OrderSummary
"""

SNAPSHOT_HELP = """Make snapshots of streams anew, or delete them.

They are caches: neither changes what any command leads to.

    diptych snapshot rebuild order --target shop:shop --store sqlite:///shop.db
"""

app = App(
    name="diptych",
    help=HELP,
    version=__version__,
    suppress_keyboard_interrupt=False,
)
app.command(serve)
app.command(demo)
app.command(new)
app.command(check)

events = App(name="event-store", help=EVENT_STORE_HELP)
events.command(event_store.stream)
events.command(event_store.replay)
events.command(event_store.append)
events.command(event_store.import_, name="import")
app.command(events)

views = App(name="projection", help=PROJECTION_HELP)
views.command(projection.status)
views.command(projection.letters)
views.command(projection.retry)
views.command(projection.skip)
views.command(projection.rebuild)
views.command(projection.cancel)
views.command(projection.drop)
views.command(projection.divide)
views.command(projection.audit)
views.command(projection.pause)
views.command(projection.resume)
views.command(projection.part)
app.command(views)

snapshots = App(name="snapshot", help=SNAPSHOT_HELP)
snapshots.command(snapshot.rebuild)
snapshots.command(snapshot.delete)
app.command(snapshots)
app.command(installer(app), name="--install-completion")

settings = App(name="config", help="See the settings, and whether they can be right.")
settings.command(config.show)
settings.command(config.check)
app.command(settings)
stores = App(name="store", help="Look after a store.")
stores.command(store.migrate)
app.command(stores)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    return spoken(lambda: app(arguments, exit_on_error=False, print_error=False, result_action="return_value"))
