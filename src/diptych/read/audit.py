"""The audit: a view's rows beside a pure fold of the log, key by key, as a lag metric reads green over a hole.

It folds the keys share by share, so that memory stays bounded however large the view is, and compares each share under
one snapshot, up to where the view's checkpoints stand there. What dead letters hold back is expected as it was before.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, NamedTuple

from diptych.errors import NotCaughtUp
from diptych.log import BEGINNING, EventLog
from diptych.read.checkpoint import Generation, numbered
from diptych.read.fold import Fold, Step
from diptych.read.letters import NOTHING_WITHHELD, Hold, Withheld
from diptych.read.parking import Parking
from diptych.read.projector import UNTUNED, utc_now
from diptych.read.shape import Key
from diptych.read.share import segment_of
from diptych.read.store import Order, Selector, Snapshot, ViewStore

SHARE_ROWS = 50_000
"""Rows of a share, about: what is held in memory at a time."""

PAGE_ROWS = 1000


class Difference(NamedTuple):
    """A key whose row is not what the log says: `missing`, `surplus`, or `other` than expected."""

    kind: Literal["missing", "surplus", "other"]
    key: str
    expected: Any
    found: Any


class Audit:
    """Compares one view with the log. `rows` and `differences` count what was compared and found so far.

    `position` and `head` are how far it is, in events over all shares.
    """

    def __init__(self, fold: Fold[Any], log: EventLog, views: ViewStore, share_rows: int = SHARE_ROWS) -> None:
        self._fold = fold
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._share_rows = share_rows
        self.rows = self.differences = self.position = self.head = 0

    async def run(self, sample: int = 1) -> AsyncGenerator[Difference]:
        """Every difference there is, of one key in `sample`, by the key's hash. Raises NotCaughtUp, Unavailable."""
        async with self._views.snapshot() as snapshot:
            generation = await self._live(snapshot)
            rows = await snapshot.count(self._shape, Selector())
        wanted = max(rows // (self._share_rows * sample), 1)
        self.head = generation.position * wanted
        for share in range(0, wanted * sample, sample):
            for difference in await self._share(share, wanted * sample):
                self.differences += 1
                yield difference

    async def _share(self, number: int, shares: int) -> list[Difference]:
        """The differences of a share; once more if dead letters were settled meanwhile, which are read beside it."""
        while True:
            before = self.position
            async with self._views.snapshot() as snapshot:
                generation = await self._live(snapshot)
                share = _Share(self, snapshot, generation, number, shares)
                found = [difference async for difference in share.differences(self._fold, self._log, self._views)]
            now = numbered(await self._views.generations(self._shape), generation.number)
            if now is None or [at.epoch for at in now.checkpoints] == [at.epoch for at in generation.checkpoints]:
                self.rows += share.rows
                return found
            self.position = before

    async def _live(self, snapshot: Snapshot) -> Generation:
        generation = await snapshot.generation(self._shape)
        if not generation.live:
            raise NotCaughtUp(self._shape.name, generation.position, generation.position, generation.delay)
        return generation


class _Share:
    """The keys of one share, under one snapshot."""

    def __init__(self, audit: Audit, snapshot: Snapshot, generation: Generation, share: int, shares: int) -> None:
        self._audit = audit
        self._snapshot = snapshot
        self._generation = generation
        self._share = share
        self._shares = shares
        self.rows = 0

    async def differences(self, fold: Fold[Any], log: EventLog, views: ViewStore) -> AsyncGenerator[Difference]:
        shape = fold.shape
        expected = await self._expected(fold, log, views)
        order = tuple([Order(name, descending=False) for name in shape.key])
        after: tuple[Any, ...] | None = None
        while True:
            page = await self._snapshot.select(shape, Selector(order=order, limit=PAGE_ROWS, after=after))
            for row in page:
                key = shape.key_of(row)
                text = shape.key_text(key)
                if segment_of(text, self._shares) != self._share:
                    continue
                self.rows += 1
                wanted = expected.pop(key, None)
                if wanted != row:
                    yield Difference("surplus" if wanted is None else "other", text, wanted, row)
            if len(page) < PAGE_ROWS:
                break
            after = tuple([getattr(page[-1], name) for name in shape.key])
        for key, wanted in expected.items():
            self.rows += 1
            yield Difference("missing", shape.key_text(key), wanted, None)

    async def _expected(self, fold: Fold[Any], log: EventLog, views: ViewStore) -> dict[Key, Any]:
        """The rows of the share as a pure fold gives them."""
        held = await self._held(fold, views)
        skips = frozenset([(skip.hold, skip.position) for skip in await views.skips(fold.shape)])
        withheld = Withheld(NOTHING_WITHHELD.holds, skips)
        read = log.read_records if fold.wants_records else log.read
        end = max([at.position for at in self._generation.checkpoints])
        rows: dict[Key, Any] = {}
        position = BEGINNING.position
        while position < end:
            page = await read(position, UNTUNED.batch, fold.types)
            events = [
                event
                for event in page.events
                if event.position <= end and event.position < held.get(Hold(stream=event.stream), end + 1)
            ]
            while events:
                parking = Parking(withheld, utc_now())
                steps, planned = fold.plan(events, parking, self._share, self._shares)
                steps = [step for step in steps if self._applied(step, fold, held)]
                changes = fold.apply(steps, rows, parking, careful=True)
                rows.update({key: row for key, row in changes.items() if row is not None})
                for key, row in changes.items():
                    if row is None:
                        rows.pop(key, None)
                withheld = parking.withheld
                events = events[planned:]
            self._audit.position += min(page.upto.position, end) - position
            position = page.upto.position
        return rows

    async def _held(self, fold: Fold[Any], views: ViewStore) -> Mapping[Hold, int]:
        """The first letter of everything that is held back in the view."""
        first: dict[Hold, int] = {}
        for at in self._generation.checkpoints if self._generation.parked else ():
            for hold in (await views.withheld(fold.shape, at)).holds:
                letters = await views.letters(fold.shape, at.generation, hold, limit=1)
                if letters:
                    first[hold] = letters[0][1].position
        return first

    def _applied(self, step: Step, fold: Fold[Any], held: Mapping[Hold, int]) -> bool:
        """Whether the view is to have applied a step: its segment is as far, and nothing holds the row back."""
        position, _, _, key = step
        text = fold.shape.key_text(key)
        checkpoints = self._generation.checkpoints
        if position > checkpoints[segment_of(text, len(checkpoints))].position:
            return False
        return position < held.get(Hold(text), position + 1)
