"""Old events for new code: an upcaster turns the JSON of one schema of an event into that of the next.

Stored bytes are never rewritten: what is read of an older schema passes through every upcaster from there on.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from diptych.messages import Event

Json = dict[str, Any]
Upcast = Callable[[Json], Json]


class Upcaster:
    """One step, from a schema of an event to the next. Called, it is the function that it was made of."""

    def __init__(self, event: type[Event], from_schema: int, function: Upcast) -> None:
        self.event = event
        self.from_schema = from_schema
        self.function = function

    def __call__(self, old: Json, /) -> Json:
        return self.function(old)


def upcasts(event: type[Event], *, from_schema: int) -> Callable[[Upcast], Upcaster]:
    """Declares how an event of an older schema becomes one of the next: `@upcasts(OrderPlaced, from_schema=1)`.

    The function takes the event's JSON as a dict, as it was stored (a Decimal, a time or an id is text), and gives that
    of schema `from_schema + 1`; it may change the dict that it was given. It is pure, and it is listed in the context:
    `BoundedContext(..., upcasters=[...])`.
    """
    return lambda function: Upcaster(event, from_schema, function)


def chain(upcasters: Iterable[Upcaster], decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """All steps in a row, from JSON to the event that `decode` finds in the last one's.

    Raises ValueError, naming the step that failed, or all of them where what they gave is not the event.
    """
    steps = list(upcasters)

    def newest(data: bytes) -> Any:
        found: Any = msgspec.json.decode(data)
        for step in steps:
            found = _taken(step, found)
        try:
            return decode(_encode(found))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{_named(steps)}, gave what is not the event: {error}") from error

    return newest


_encode = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical").encode


def _taken(step: Upcaster, old: Json) -> Json:
    try:
        return step.function(old)
    except (Exception, SystemExit) as error:  # sys.exit() there is a fault as any other, and no wish of the operator's
        raise ValueError(f"{_named([step])}, failed: {error!r}") from error


def _named(steps: Sequence[Upcaster]) -> str:
    names = " and ".join([getattr(step.function, "__name__", "?") for step in steps])
    return f"{names}, its upcaster{'s' if len(steps) > 1 else ''} from schema {steps[0].from_schema}"
