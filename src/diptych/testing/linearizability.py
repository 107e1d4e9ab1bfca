"""A checker of concurrent histories: could what the clients were told have happened one operation after another?

The search is that of Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with the memory of places that
Lowe adds in "Testing for Linearizability" (2017). It knows nothing of what the operations do: a model says that.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

C = TypeVar("C")
A = TypeVar("A")
S = TypeVar("S", bound=Hashable)

EVER = 1 << 63
"""The time at which an operation returns that never did."""

SHOWN = 600
"""Characters of an operation, or of a state, that an error shows."""


class Operation(NamedTuple, Generic[C, A]):
    """What a client called for and was told, and when, in nanoseconds of a clock that all clients share.

    One that returns at EVER has taken effect at some time after its call, or never. Its answer is None where nobody
    knows it.
    """

    call: C
    answer: A | None
    called: int
    returned: int


Step = Callable[[S, C, A | None], S | None]
"""The state after a call, the same object where it changes nothing; None where the call has another answer there."""


class NotLinearizable(AssertionError):
    """No order of the operations explains what the clients were told."""


class _Place(NamedTuple, Generic[S]):
    """A state, the operations that led to it as bits, and the way here: the place before and the last one's number."""

    state: S
    done: int
    before: "tuple[_Place[S], int] | None"

    @property
    def way(self) -> list[int]:
        """The numbers of the operations that led here, in order."""
        numbers: list[int] = []
        place = self
        while place.before is not None:
            place, number = place.before
            numbers.append(number)
        return numbers[::-1]


def linearize(history: Iterable[Operation[C, A]], state: S, step: Step[S, C, A]) -> list[Operation[C, A]]:
    """The operations in an order that explains all their answers and that none of them contradicts by its times.

    Of those that never returned, only the ones that took effect. Raises NotLinearizable, with how far one comes.
    """
    operations = sorted(history, key=lambda operation: operation.called)
    returned = sum([1 << number for number, operation in enumerate(operations) if operation.returned != EVER])
    places = [_Place(state, 0, None)]
    seen: set[tuple[int, S]] = set()
    furthest = places[0]
    while places:
        place = places.pop()
        if place.done & returned == returned:
            return [operations[number] for number in place.way]
        furthest = max(furthest, place, key=lambda each: (each.done & returned).bit_count())
        for following in _following(place, operations, step):
            if (known := (following.done, following.state)) not in seen:
                seen.add(known)
                places.append(following)
    raise NotLinearizable(_explained(furthest, operations))


def _following(place: _Place[S], operations: Sequence[Operation[C, A]], step: Step[S, C, A]) -> list[_Place[S]]:
    """The places that one more operation leads to, the best one last.

    One that changes nothing may as well come at once: whatever can follow without it can follow after it.
    """
    found: list[_Place[S]] = []
    for number in _next(operations, place.done):
        operation = operations[number]
        state = step(place.state, operation.call, operation.answer)
        if state is None:
            continue
        following = _Place(state, place.done | 1 << number, (place, number))
        if state is not place.state:
            found.append(following)
        elif operation.returned != EVER:
            return [following]
    return found[::-1]


def _next(operations: Sequence[Operation[C, A]], done: int) -> Iterator[int]:
    """The numbers of those that may come next: they were called before any other one that is not done has returned."""
    first_return = EVER
    first = (~done & done + 1).bit_length() - 1
    for number in range(first, len(operations)):
        operation = operations[number]
        if operation.called > first_return:
            return
        if not done >> number & 1:
            first_return = min(first_return, operation.returned)
            yield number


def _explained(place: _Place[S], operations: Sequence[Operation[C, A]]) -> str:
    lines = [
        f"{len(place.way)} of {len(operations)} operations have an order; none of these fits after them:",
        *[_short(operations[number]) for number in _next(operations, place.done)],
        "the last ones that fit:",
        *[_short(operations[number]) for number in place.way[-8:]],
        "and the state after them:",
        _short(place.state),
    ]
    return "\n".join(lines)


def _short(value: object) -> str:
    """Both ends of its words: what was told last is most often what does not fit."""
    words = str(value)
    return f"  {words}" if len(words) <= SHOWN else f"  {words[: SHOWN // 2]} ... {words[-SHOWN // 2 :]}"
