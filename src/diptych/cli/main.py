"""The entry point: one app of all commands, one place where errors become a line on stderr and an exit code.

0 done, 1 the answer is no, 2 wrong use, 3 the store cannot be reached, 130 stopped by Ctrl-C.
"""

import io
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError

from diptych import (
    CommandIdReused,
    Conflict,
    ContextError,
    DiptychError,
    NotCaughtUp,
    OutcomeUnknown,
    TimedOut,
    Unavailable,
    UnreadableEvent,
    __version__,
)
from diptych.cli import config, event_store, projection, store
from diptych.cli.check import check
from diptych.cli.completion import installer
from diptych.cli.demo import demo
from diptych.cli.new import new
from diptych.cli.serve import serve
from diptych.cli.words import INTERRUPTED, NO, UNREACHABLE, WRONG_USE, Stop, say
from diptych.config import ConfigurationError

HELP = """CQRS for Python: commands are decided, events kept, queries answered.

See it run; then make a project of your own, with tests that pass:

    diptych demo
    diptych new bakery

`--help` behind any command shows an example of it. Exit codes: 0 done, 1 the
answer is no, 2 wrong use, 3 the store cannot be reached, 130 stopped.
"""

EVENT_STORE_HELP = r"""Look into the log, tell an aggregate's story, record a fact by hand.

What happened today, and how one order came to its state:

    diptych event-store stream 2026-01-31 --store sqlite:///shop.db
    diptych event-store replay order-536365 \
        --target shop:shop --store sqlite:///shop.db
"""

PROJECTION_HELP = """See how the views stand, fill one again, pause one and let it go on.

Those of a shop, and one of them again while it answers:

    diptych projection status --target shop:shop --store sqlite:///shop.db
    diptych projection rebuild OrderSummary \\
        --target shop:shop --store sqlite:///shop.db
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
app.command(events)

views = App(name="projection", help=PROJECTION_HELP)
views.command(projection.status)
views.command(projection.rebuild)
views.command(projection.pause)
views.command(projection.resume)
app.command(views)
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


def spoken(work: Callable[[], object]) -> int:
    """Does the work and returns the exit code; what goes wrong is said."""
    prepare_streams()
    try:
        code = work()
        sys.stdout.flush()
    except CycloptsError as error:
        return say(f"{error} Try: diptych --help", WRONG_USE)
    except Stop as stop:
        return say(str(stop), stop.code, stop.details)
    except ContextError as error:
        return say(f"bounded context {error.context!r} does not build:", WRONG_USE, error.problems)
    except ConfigurationError as error:
        return say("the configuration is wrong:", WRONG_USE, error.problems)
    except DiptychError as error:
        return say(str(error), exit_code(error))
    except KeyboardInterrupt:
        return say("stopped", INTERRUPTED)
    except BrokenPipeError:
        return hung_up()
    except OSError as error:  # a full disk behind stdout, above all
        return say(str(error), hung_up())
    return code if isinstance(code, int) else 0


def prepare_streams() -> None:
    """Output must not be what fails: a stream that was closed takes words too, and any word can be written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def exit_code(error: DiptychError) -> int:
    """Servers to be waited for are apart from words to be corrected."""
    match error:
        case Unavailable() | OutcomeUnknown():
            return UNREACHABLE
        case Conflict() | CommandIdReused() | UnreadableEvent() | NotCaughtUp() | TimedOut():
            return NO
        case _:
            return WRONG_USE


def hung_up() -> int:
    """Nobody reads the output any more, as after `| head`. Closing it must not complain a second time."""
    sys.stdout = io.StringIO()
    return NO
