"""From `module:name` to the bounded context that stands there, or to words about why there is none."""

import importlib
import os
import pkgutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from diptych import BoundedContext, ContextError
from diptych.cli.traces import shortened
from diptych.cli.words import WRONG_USE, Stop
from diptych.config import load
from diptych.messages.words import did_you_mean


def context_at(target: str | None) -> BoundedContext:
    """The context that a target names, or, where None was given, the environment or `diptych.yaml`.

    Raises Stop, ConfigurationError, and ContextError for one that does not build.
    """
    target = target_or_configured(target)
    if not target:
        told = "which context? Say --target module:name, set DIPTYCH_TARGET, or say target: in diptych.yaml"
        raise Stop(told, WRONG_USE)
    module, separator, name = target.partition(":")
    if not separator or not module or not name:
        raise Stop(f"{target!r} names no context; say module:name, such as {module or 'shop'}:shop", WRONG_USE)
    if not all(part.isidentifier() for part in module.split(".")):
        raise Stop(f"{module!r} is no module's name; say it as in an import, such as shop:shop", WRONG_USE)
    make_importable(Path.cwd())
    with redirect_stdout(sys.stderr):  # what the module prints is not what was asked for
        return context_in(imported(module), name)


def target_or_configured(target: str | None) -> str | None:
    """The target that is meant, if there is any. Raises ConfigurationError."""
    return load(None, os.environ, {}).target if target is None else target


def make_importable(folder: Path) -> None:
    """As `python -m` does: what stands in the folder can be imported, and comes before what is installed."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def imported(name: str) -> ModuleType:
    """The module. Raises Stop where there is none, or where its own code fails."""
    try:
        return importlib.import_module(name)
    except ContextError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise failed(name, error) from error
        raise Stop(f"there is no module {error.name!r}{nearest(error.name)}", WRONG_USE) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it is, it is the module's own
        raise failed(name, error) from error


def failed(name: str, error: BaseException) -> Stop:
    return Stop(f"{name} cannot be imported:", WRONG_USE, shortened(error))


def nearest(module: str) -> str:
    """The end of the words about a module that is not there: the nearest one beside where it should be."""
    parent, _, last = module.removesuffix(".py").rpartition(".")
    places = getattr(sys.modules.get(parent), "__path__", [str(Path.cwd())])
    hint = did_you_mean(last, [found.name for found in pkgutil.iter_modules(places)])
    return hint if hint.startswith("; did") else f"; modules are looked for in {Path.cwd()} and where Python finds them"


def context_in(module: ModuleType, path: str) -> BoundedContext:
    """The context by this name, which may have dots, in a module."""
    found: object = module
    for name in path.split("."):
        if name not in dir(found) and not hasattr(found, name):
            raise Stop(f"{module.__name__} has no {name!r}{contexts_of(module, name)}", WRONG_USE)
        found = getattr(found, name)
    if not isinstance(found, BoundedContext):
        kind = type(found).__name__
        told = f"{module.__name__}:{path} is {'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind} and no BoundedContext"
        raise Stop(f"{told}{contexts_of(module, path)}", WRONG_USE)
    return found


def contexts_of(module: ModuleType, name: str) -> str:
    """The end of the words about a wrong name: the contexts that the module has."""
    known = [name for name, value in vars(module).items() if isinstance(value, BoundedContext)]
    return did_you_mean(name, known) if known else "; there is no BoundedContext in it"
