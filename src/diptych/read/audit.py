"""The audit: a view's rows beside a pure fold of the log, key by key, as a lag metric reads green over a hole.

It folds the keys share by share, so that memory stays bounded however large the view is. A share is folded up to where
the view stands, which may take long; then up to where it stands in a snapshot, and is compared with the rows there.
What dead letters hold back is expected as it was before.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from diptych.errors import NotCaughtUp
from diptych.log import BEGINNING, PAGE_EVENTS, EventLog
from diptych.read.checkpoint import Checkpoint, Generation, Superseded, UnreadableRow, numbered
from diptych.read.fold import Fold
from diptych.read.letters import NOTHING_WITHHELD, Hold, Withheld
from diptych.read.now import utc_now
from diptych.read.parking import Parking
from diptych.read.shape import Key
from diptych.read.share import segment_of
from diptych.read.store import Order, Selector, Snapshot, ViewStore

SHARE_ROWS = 100_000
"""Rows of a share, about: what is held in memory at a time."""

PAGE_ROWS = 1000

_Helds = Mapping[tuple[int, Hold], int]
"""The first letter of everything that is held back, by segment."""


class Difference(NamedTuple):
    """A key whose row is not what the log says: `missing`, `surplus`, `other` than expected, or `unreadable`."""

    kind: Literal["missing", "surplus", "other", "unreadable"]
    key: str
    expected: Any
    found: Any


class Audit:
    """Compares one view with the log. `rows` and `differences` count what was compared and found so far.

    `position` and `head` are how far it is, in events over all shares.
    """

    def __init__(self, fold: Fold[Any], log: EventLog, views: ViewStore, share_rows: int = SHARE_ROWS) -> None:
        self._fold = fold
        self._log = log
        self._views = views
        self._share_rows = share_rows
        self.rows = self.differences = self.position = self.head = 0

    async def run(self, sample: int = 1) -> AsyncGenerator[Difference]:
        """Every difference there is, of one key in `sample`, by the key's hash. Raises NotCaughtUp, Unavailable."""
        shape = self._fold.shape
        async with self._views.snapshot() as snapshot:
            generation = await live_of(snapshot, self._fold, self._log)
            rows = await snapshot.count(shape, Selector())
        wanted = max(-(-rows // (self._share_rows * sample)), 1)
        self.head = generation.position * wanted
        for done in range(wanted):
            found, compared = await self._share(done * sample, wanted * sample, generation.position * done)
            self.rows += compared
            self.differences += len(found)
            for difference in found:
                yield difference

    async def _share(self, number: int, shares: int, begun_at: int) -> tuple[list[Difference], int]:
        """The differences of a share, and how many keys were compared.

        It is done once more where owners or dead letters have changed meanwhile, as letters are read beside the rows.
        """
        while True:
            share = _Share(self._fold, self._log, self._views, number, shares)
            with suppress(Superseded):  # the generation is gone
                async with self._views.snapshot() as snapshot:
                    first = await live_of(snapshot, self._fold, self._log)
                async for position in share.advance(first):
                    self.position = begun_at + position
                found = await self._compared(share, first)
                if found is not None:
                    return found, share.rows

    async def _compared(self, share: "_Share", folded: Generation) -> list[Difference] | None:
        """The differences; None where the generation is not as it was folded any more, but for its positions."""
        async with self._views.snapshot() as snapshot:
            generation = await live_of(snapshot, self._fold, self._log)
            if _fences(generation) != _fences(folded):
                return None
            async for _ in share.advance(generation):
                pass
            found = [difference async for difference in share.differences(snapshot)]
        now = numbered(await self._views.generations(self._fold.shape), folded.number)
        return found if now is None or _fences(now) == _fences(folded) else None


async def live_of(snapshot: Snapshot, fold: Fold[Any], log: EventLog) -> Generation:
    """The generation that answers from this log. Raises NotCaughtUp where there is none, NeverFilled."""
    generation = await snapshot.generation(fold.shape)
    if not generation.live or generation.log_id != log.log_id:
        reason = generation.delay if generation.log_id == log.log_id else "it was filled from another log"
        raise NotCaughtUp(fold.shape.name, (await log.head()).position, generation.position, reason)
    return generation


def _fences(generation: Generation) -> list[tuple[int, int]]:
    """What changes with owners, with divisions, and with dead letters that are settled."""
    return [(generation.number, at.epoch) for at in generation.checkpoints]


class _Share:
    """The keys of one share: what they are by a pure fold, as far as it was advanced."""

    def __init__(self, fold: Fold[Any], log: EventLog, views: ViewStore, share: int, shares: int) -> None:
        self._fold = fold
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._share = share
        self._shares = shares
        self._expected: dict[Key, Any] = {}
        self._withheld = NOTHING_WITHHELD
        self._at: list[int] | None = None
        self.rows = 0

    async def advance(self, generation: Generation) -> AsyncGenerator[int]:
        """Folds on to where each segment of the generation stands; gives the positions on the way."""
        upto = [at.position for at in generation.checkpoints]
        since = [BEGINNING.position] * len(upto) if self._at is None else self._at
        helds = await self._helds(generation)
        skips = frozenset([(skip.hold, skip.position) for skip in await self._views.skips(self._shape)])
        self._withheld = Withheld(self._withheld.holds, skips)
        read = self._log.read_records if self._fold.wants_records else self._log.read
        position, end = min(since), max(upto)
        while position < end:
            page = await read(position, PAGE_EVENTS, self._fold.types)
            if page.upto.position <= position:  # the log has lost its end
                break
            events = [event for event in page.events if event.position <= end]
            streams = {event.position: event.stream for event in events}
            while events:
                parking = Parking(self._withheld, utc_now())
                steps, planned = self._fold.plan(events, parking, self._share, self._shares)
                wanted = [
                    (position, rule, subject, key)
                    for position, rule, subject, key in steps
                    if since[segment := segment_of(self._shape.key_text(key), len(upto))] < position <= upto[segment]
                    and not _held_back(helds, segment, Hold(self._shape.key_text(key)), position)
                    and not _held_back(helds, segment, Hold(stream=streams[position]), position)
                ]
                self._keep(self._fold.apply(wanted, self._expected, parking, careful=True))
                self._withheld = parking.withheld
                events = events[planned:]
            position = page.upto.position
            yield min(position, end)
            await asyncio.sleep(0)  # some logs wait for nothing, and others want a turn
        self._at = upto

    async def differences(self, snapshot: Snapshot) -> AsyncGenerator[Difference]:
        """How the rows in the snapshot differ from what is expected, which is used up."""
        shape, expected = self._shape, self._expected
        async for key, row in self._rows_of(snapshot):
            text = shape.key_text(key)
            if segment_of(text, self._shares) != self._share:
                continue
            self.rows += 1
            wanted = expected.pop(key, None)
            if row is None:
                yield Difference("unreadable", text, wanted, None)
            elif wanted != row:
                yield Difference("surplus" if wanted is None else "other", text, wanted, row)
        for key, wanted in expected.items():
            self.rows += 1
            yield Difference("missing", shape.key_text(key), wanted, None)

    async def _rows_of(self, snapshot: Snapshot) -> AsyncGenerator[tuple[Key, Any]]:
        """Every row by its key, in order; None for one that cannot be read."""
        shape = self._shape
        order = tuple([Order(name, descending=False) for name in shape.key])
        after: tuple[Any, ...] | None = None
        limit = left = PAGE_ROWS
        while True:
            found: list[tuple[Key, Any]]
            try:
                page = await snapshot.select(shape, Selector(order=order, limit=limit, after=after))
                found = [(shape.key_of(row), row) for row in page]
            except UnreadableRow as error:
                if limit > 1:  # the page again, row by row
                    limit, left = 1, PAGE_ROWS
                    continue
                found = [(error.key, None)]
            for key, row in found:
                yield key, row
            if len(found) < limit:
                return
            left -= 1
            if left == 0:
                limit = left = PAGE_ROWS
            last = found[-1][0]
            after = last if len(shape.key) > 1 else (last,)

    def _keep(self, changes: Mapping[Key, Any]) -> None:
        for key, row in changes.items():
            if row is None:
                self._expected.pop(key, None)
            else:
                self._expected[key] = row

    async def _helds(self, generation: Generation) -> _Helds:
        parked = [at for at in generation.checkpoints if at.parked]
        return {place: first for at in parked for place, first in (await self._helds_of(at)).items()}

    async def _helds_of(self, at: Checkpoint) -> _Helds:
        first: dict[tuple[int, Hold], int] = {}
        for hold in (await self._views.withheld(self._shape, at)).holds:
            position = await self._first_letter(at, hold)
            if position is not None:
                first[at.segment, hold] = position
        return first

    async def _first_letter(self, at: Checkpoint, hold: Hold) -> int | None:
        """Of a stream, the segments may have different ones."""
        after = BEGINNING.position
        while True:
            letters = await self._views.letters(self._shape, at.generation, hold, after, at.segments)
            mine = [letter.position for segment, letter in letters if segment == at.segment]
            if mine or not letters:
                return min(mine, default=None)
            after = letters[-1][1].position


def _held_back(helds: _Helds, segment: int, hold: Hold, position: int) -> bool:
    first = helds.get((segment, hold)) if helds else None
    return first is not None and position >= first
