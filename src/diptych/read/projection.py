"""What a user writes to fold events into a view: handlers, each a pure function of a row and an event.

Declaring is all that happens here; `diptych.read.fold` makes a running fold of it, and finds what is wrong with it.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, NamedTuple, TypeVar, overload

from diptych.log import Recorded
from diptych.messages import Event, View
from diptych.read.shape import Key

V = TypeVar("V", bound=View)

Mode = Literal["async", "sync"]
"""Whether a view follows the log, or is kept in step with it."""

E = TypeVar("E", bound=Event | Recorded[Any])


class ProjectionHandler(NamedTuple):
    """A handler as it was declared; `keys` is None where the event's own fields are the row's key."""

    function: Callable[..., Any]
    keys: Callable[[Any], Iterable[Key]] | None


class Projection(Generic[V]):
    """Folds events into the rows of a view.

    A change of the view's fields is noticed by itself. A change of what a handler does is not: raise `version` for it,
    and the view is filled anew. `replayable` says that it does no harm to apply events again, in order, to rows that
    have them already: then a rebuild may begin at a time, on the rows that there are.

    With `mode="sync"` the rows change in the append's own transaction: whoever has a receipt finds them changed. A
    handler that fails then refuses the command.
    """

    def __init__(self, view: type[V], *, version: int = 1, replayable: bool = False, mode: Mode = "async") -> None:
        self.view = view
        self.mode = mode
        self.version = version
        self.replayable = replayable
        self.handlers: list[ProjectionHandler] = []

    @overload
    def on(self, handler: Callable[[V | None, E], V], /) -> Callable[[V | None, E], V]: ...
    @overload
    def on(  # type: ignore[overload-overlap]  # each overload gives back the handler's own type
        self, handler: Callable[[V | None, E], V | None], /
    ) -> Callable[[V | None, E], V | None]: ...
    @overload
    def on(self, handler: Callable[[V, E], V], /) -> Callable[[V, E], V]: ...
    @overload
    def on(self, handler: Callable[[V, E], V | None], /) -> Callable[[V, E], V | None]: ...
    @overload
    def on(self, /, *, keys: Callable[[E], Iterable[Key]]) -> "KeyedOn[V, E]": ...

    def on(
        self, handler: Callable[..., Any] | None = None, /, *, keys: Callable[[Any], Iterable[Key]] | None = None
    ) -> Any:
        """Declares a handler: a function of the row (None where there is none) and the event, giving the row to keep.

        A handler that takes the row as `V`, not `V | None`, is for rows that exist: an event without its row stops the
        projection. Giving None deletes the row. The event may be asked for as `Recorded[E]`.

        Without `keys` the row is the one whose key the event's fields of the same names give. `keys` gives the keys of
        the rows that an event changes, a scalar each, or a tuple where the view's key has several fields; the handler
        is called once for each different key, which it may take as a third parameter.
        """
        if handler is None:
            return KeyedOn(self, keys)
        self.handlers.append(ProjectionHandler(handler, None))
        return handler


class KeyedOn(Generic[V, E]):
    """The decorator that `on(keys=...)` gives."""

    def __init__(self, projection: Projection[V], keys: Callable[[E], Iterable[Key]] | None) -> None:
        self._projection = projection
        self._keys = keys

    @overload
    def __call__(self, handler: Callable[[V | None, E, Any], V], /) -> Callable[[V | None, E, Any], V]: ...
    @overload
    def __call__(
        self, handler: Callable[[V | None, E, Any], V | None], /
    ) -> Callable[[V | None, E, Any], V | None]: ...
    @overload
    def __call__(self, handler: Callable[[V, E, Any], V], /) -> Callable[[V, E, Any], V]: ...
    @overload
    def __call__(self, handler: Callable[[V, E, Any], V | None], /) -> Callable[[V, E, Any], V | None]: ...
    @overload
    def __call__(self, handler: Callable[[V | None, E], V], /) -> Callable[[V | None, E], V]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # each overload gives back the handler's own type
        self, handler: Callable[[V | None, E], V | None], /
    ) -> Callable[[V | None, E], V | None]: ...
    @overload
    def __call__(self, handler: Callable[[V, E], V], /) -> Callable[[V, E], V]: ...
    @overload
    def __call__(self, handler: Callable[[V, E], V | None], /) -> Callable[[V, E], V | None]: ...

    def __call__(self, handler: Callable[..., Any], /) -> Any:
        self._projection.handlers.append(ProjectionHandler(handler, self._keys))
        return handler
