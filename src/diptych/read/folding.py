"""What the machinery of projections needs of a fold, whatever it fills: single rows, or tables by SQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any, Protocol

from diptych.log import RecordedEvent, StoredEvent
from diptych.read.parking import Parking
from diptych.read.shape import Key, ViewShape


class AnyFold(Protocol):
    """From events to changes, which only the view's own store looks into. Steps are the fold's own, too."""

    @property
    def shape(self) -> ViewShape[Any]:
        """What it fills."""
        ...

    @property
    def replayable(self) -> bool:
        """Whether events may be applied again, in order, to what has them already."""
        ...

    @property
    def types(self) -> AbstractSet[str]:
        """The stored names of the events that it handles."""
        ...

    @property
    def wants_records(self) -> bool:
        """Whether it needs whole records of them."""
        ...

    def plan(
        self, events: Iterable[StoredEvent | RecordedEvent], parking: Parking, segment: int = 0, segments: int = 1
    ) -> tuple[list[Any], int]:
        """The steps that the first events ask for in one segment, and how many events those are."""
        ...

    def touched(self, steps: Iterable[Any]) -> Collection[Key]:
        """The keys of the rows that have to be loaded first, some more than once."""
        ...

    def possible(self, steps: Iterable[Any], parking: Parking) -> list[Any]:
        """The steps that a store could take. The others are parked."""
        ...

    def apply(
        self,
        steps: Sequence[Any],
        rows: Mapping[Key, Any],
        parking: Parking,
        *,
        careful: bool = False,
        within: timedelta | None = None,
    ) -> Any:
        """The changes, for the store. What cannot be applied, or has to wait, is parked.

        Raises Overlong where more than one event does not get done `within` a time.
        """
        ...

    def refuse(self, steps: Iterable[Any], parking: Parking, error: Exception) -> None:
        """Parks every step, for the reason that a store has given."""
        ...
