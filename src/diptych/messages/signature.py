"""Reads what a handler's annotations say, and says where in the user's code it stands."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints


class Parameter(NamedTuple):
    """A positional parameter and its annotation."""

    name: str
    kind: Any


class Signature(NamedTuple):
    """A handler's positional parameters, and its return annotation (None stands for none)."""

    parameters: tuple[Parameter, ...]
    returns: Any


def read_signature(function: Callable[..., Any]) -> Signature:
    """The signature. Raises TypeError, saying what is missing or cannot be resolved."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        raise TypeError(f"has an annotation that cannot be resolved: {error}") from None
    parameters: list[Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"takes {parameter.name!r}, and a handler takes plain positional parameters only")
        if parameter.name not in hints:
            raise TypeError(f"has no annotation for its parameter {parameter.name!r}")
        parameters.append(Parameter(parameter.name, hints[parameter.name]))
    return Signature(tuple(parameters), hints.get("return"))


def is_message(kind: Any, base: type) -> bool:
    """Whether an annotation is a class of one's own of this kind of message."""
    return isinstance(kind, type) and issubclass(kind, base) and kind is not base


def options(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the one annotation."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def place(thing: Any) -> str:
    """Where a function or class stands: file, line and name."""
    name = getattr(thing, "__qualname__", None) or repr(thing)
    try:
        file = inspect.getsourcefile(thing)
        line = inspect.getsourcelines(thing)[1]
    except (TypeError, OSError):
        return f"{getattr(thing, '__module__', '?')}: {name}"
    return f"{Path(file).name if file else '?'}:{line}: {name}"
