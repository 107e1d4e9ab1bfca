"""The one place where errors become a line on stderr and an exit code.

0 done, 1 the answer is no, 2 wrong use, 3 the store cannot be reached, 130 stopped by Ctrl-C.
"""

import io
import sys
from collections.abc import Callable

from cyclopts import CycloptsError

from diptych import (
    CommandIdReused,
    Conflict,
    ContextError,
    DiptychError,
    NotCaughtUp,
    OutcomeUnknown,
    ProjectionFailed,
    TimedOut,
    Unavailable,
    UnreadableEvent,
)
from diptych.cli.words import DONE, INTERRUPTED, NO, UNREACHABLE, WRONG_USE, Stop, say
from diptych.config import ConfigurationError


def spoken(work: Callable[[], object]) -> int:
    """Does the work and returns the exit code; what goes wrong is said."""
    prepare_streams()
    try:
        code = work()
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(["diptych", *(error.command_chain or ())])
        return say(f"{error} Try: {command} --help", WRONG_USE)
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
        hang_up()
        return DONE  # who asked has read what they wanted
    except OSError as error:  # a full disk behind stdout, above all
        hang_up()
        return say(str(error), NO)
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
        case Conflict() | CommandIdReused() | UnreadableEvent() | ProjectionFailed() | NotCaughtUp() | TimedOut():
            return NO
        case _:
            return WRONG_USE


def hang_up() -> None:
    """Nobody reads the output any more, as after `| head`. Closing it must not complain a second time."""
    sys.stdout = io.StringIO()
