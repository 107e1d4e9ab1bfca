"""Which part of a log is to be read, as plain values that every backend understands, and what is left of it then."""

from typing import NamedTuple

from diptych.errors import Malformed
from diptych.log.conditions import STREAM_SEPARATOR
from diptych.log.events import Anchor, RecordedEvent
from diptych.messages.values import check_characters


class Piece(NamedTuple):
    """Positions over `low` and up to `high`, and `upto`, as far as was looked when all of them were."""

    low: int
    high: int
    upto: int


class Span(NamedTuple):
    """Events over position `after` and, if it is given, under `before`, that have everything that is asked for.

    Empty types stand for any type; all tags must be there; `stream` is a whole name and `category` what stands before
    its dash.
    """

    after: int = 0
    before: int | None = None
    types: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    stream: str | None = None
    category: str | None = None
    backwards: bool = False

    @property
    def is_indexed(self) -> bool:
        """Whether an index tells its events, so that no page of them looks at many others."""
        return self.stream is not None or (len(self.tags) == 1 and not self.types and self.category is None)

    def accepts(self, event: RecordedEvent) -> bool:
        """Whether the event belongs to it."""
        return (
            event.position > self.after
            and (self.before is None or event.position < self.before)
            and (not self.types or event.type in self.types)
            and self.tags.issubset(event.tags)
            and self.stream in (None, event.stream)
            and (self.category is None or event.stream.startswith(self.category + STREAM_SEPARATOR))
        )

    def check(self) -> None:
        """Raises Malformed for what no event can have, which not every backend could even be asked for."""
        for path, texts in (("$.stream", [self.stream]), ("$.category", [self.category]), ("$.tags", self.tags)):
            for text in texts:
                check_characters(text or "", path)
        if self.category is not None and STREAM_SEPARATOR in self.category:
            raise Malformed(
                f"{self.category!r} is no category: it has a dash, and a category is what stands before it",
                "$.category",
            )

    def piece(self, head: int, most: int | None = None) -> "Piece":
        """What to look at next in a log that ends at `head`: at most so many positions, from where the span begins."""
        low, high = self.after, min((self.before or head + 1) - 1, head)
        if most is not None and self.backwards:
            low = max(low, high - most)
        elif most is not None:
            high = min(high, low + most)
        return Piece(low, high, min(low, head) if self.backwards else max(high, 0))

    def rest(self, upto: Anchor, head: int) -> "Span | None":
        """What is left of it when it was read as far as that, in a log that ends at `head`; None when it is over."""
        if self.backwards:
            return None if upto.position <= self.after else self._replace(before=upto.position)
        last = head if self.before is None else min(self.before - 1, head)
        return None if upto.position >= last else self._replace(after=upto.position)
