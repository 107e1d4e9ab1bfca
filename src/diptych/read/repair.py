"""What becomes of dead letters: they are applied in order once the handler is mended, or passed over for a reason."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from diptych.errors import NotFound
from diptych.log import EventLog, RecordedEvent, StoredEvent
from diptych.read.checkpoint import Checkpoint, Generation, Superseded, numbered
from diptych.read.folding import AnyFold
from diptych.read.letters import Hold, Letter, Skip, Withheld
from diptych.read.now import utc_now
from diptych.read.parking import Parking, cause_of
from diptych.read.store import ViewStore

LETTERS = 200
"""Letters that are applied in one transaction."""


class Retried(NamedTuple):
    """What became of one hold: how many letters were applied, and the first that could not be, if one is left."""

    hold: Hold
    applied: int
    left: Letter | None


class Repair:
    """Repairs one generation of a view while its workers go on; they learn of it at their next commit."""

    def __init__(self, fold: AnyFold, log: EventLog, views: ViewStore, number: int) -> None:
        self._fold = fold
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._number = number

    async def holds(self) -> list[Hold]:
        """All that is held back, rows before streams."""
        found: set[Hold] = set()
        for at in (await self._generation()).checkpoints:
            found |= (await self._views.withheld(self._shape, at)).holds
        return sorted(found, key=lambda hold: (hold.stream, hold.key))

    async def retry(self, hold: Hold) -> Retried:
        """Applies the letters of a hold in order, until one fails again. Raises NotFound, Unavailable."""
        applied = 0
        most = LETTERS
        while True:
            letters = await self._views.letters(self._shape, self._number, hold, limit=most)
            if not letters:
                return Retried(hold, applied, None)
            segment = letters[0][0]  # a stream may be held back in several
            mine = [letter for number, letter in letters if number == segment]
            try:
                done, left = await self._apply(segment, mine, single=most == 1)
            except Superseded:
                continue
            except ValueError:  # the store's own reason; halves find the letter
                most = max(most // 2, 1)
                continue
            applied += done
            if left is not None:
                return Retried(hold, applied, left)

    async def skip(self, hold: Hold, position: int, because: str) -> None:
        """Passes over the first letter of a hold, for good: where it fails again, in any generation, it is passed over.

        Raises NotFound where it is not the first letter of the hold.
        """
        skip = Skip(hold, position, because, utc_now())
        skipped = False
        while True:
            checkpoints = (await self._generation()).checkpoints
            letters = await self._views.letters(self._shape, self._number, hold, limit=1)
            first = letters[0][1].position if letters else None
            if first != position:
                if skipped:  # in every segment that holds back the stream
                    return
                there = f"; the first event there is {first}" if letters else ""
                raise NotFound(f"Event {position} is not what holds back {hold} of {self._shape.name}{there}")
            with suppress(Superseded, IndexError):  # or divided anew meanwhile
                at = checkpoints[letters[0][0]]
                await self._views.settle(self._shape, at, hold, position, {}, skip=skip)
                skipped = True

    async def _apply(self, segment: int, letters: Sequence[Letter], *, single: bool) -> tuple[int, Letter | None]:
        """Applies letters of one hold up to the first that fails; how many, and that one. Raises Superseded.

        Raises ValueError where the store refuses rows, unless it is a `single` letter: that is what has failed then.
        """
        hold = letters[0].hold
        events = [await self._event(letter.position) for letter in letters]
        at = await self._at(segment)
        first = await self._views.letters(self._shape, self._number, hold, limit=1)
        if [(number, letter.position) for number, letter in first[:1]] != [(segment, letters[0].position)]:
            raise Superseded(f"somebody else has settled {hold} meanwhile")  # before `at`, which would not tell
        known = await self._views.withheld(self._shape, at)
        # Nothing else holds back the row of a key. A stream's events wait behind those that wait for the same rows.
        others = Withheld({other for other in known.holds if other.key and not hold.key}, known.skips)
        steps, planned, unread = self._plan(hold, events, at, others)
        applied = Parking(others, utc_now())
        try:
            touched = self._fold.touched(steps)
            rows = await self._views.load(self._shape, set(touched), at) if touched else {}
            changes = self._fold.apply(steps, rows, applied, careful=True)
            failed = min([*unread, *applied.letters], key=lambda letter: letter.position, default=None)
            if failed is None:
                await self._views.settle(self._shape, at, hold, letters[planned - 1].position, changes)
                return planned, None
        except ValueError as error:
            if not single:
                raise
            failed = letters[0]._replace(cause=cause_of(error, utc_now()))
        before = [letter for letter in letters if letter.position < failed.position]
        if before:
            return await self._apply(segment, before, single=single)
        left = _still(letters[0], failed)
        await self._views.settle(self._shape, at, hold, left.position, {}, left)
        return 0, left

    def _plan(
        self, hold: Hold, events: Sequence[StoredEvent | RecordedEvent], at: Checkpoint, others: Withheld
    ) -> tuple[list[Any], int, Sequence[Letter]]:
        """What the first events ask for in the hold's own rows, how many events those are, and what cannot be read."""
        parking = Parking(others, utc_now())
        steps, planned = self._fold.plan(events, parking, at.segment, at.segments)
        if hold.key:
            steps = [step for step in steps if self._shape.key_text(step[3]) == hold.key]
        return self._fold.possible(steps, parking), planned, parking.letters

    async def _event(self, position: int) -> StoredEvent | RecordedEvent:
        read = self._log.read_records if self._fold.wants_records else self._log.read
        events = (await read(position - 1, 1)).events
        if not events or events[0].position != position:
            raise NotFound(f"The log does not have event {position} any more.")
        return events[0]

    async def _at(self, segment: int) -> Checkpoint:
        generation = await self._generation()
        if segment >= len(generation.checkpoints):
            raise Superseded(f"{self._shape.name} was divided anew meanwhile")
        return generation.checkpoints[segment]

    async def _generation(self) -> Generation:
        generation = numbered(await self._views.generations(self._shape), self._number)
        if generation is None:
            raise NotFound(f"Generation {self._number} of {self._shape.name} is gone.")
        return generation


def _still(letter: Letter, failed: Letter) -> Letter:
    """The letter as it stays, with the cause for which it has failed now."""
    cause = failed.cause
    if cause is None:
        cause = cause_of(RuntimeError(f"{failed.hold} is held back as well; retry that first"), utc_now())
    if (before := letter.cause) is not None:
        cause = msgspec.structs.replace(cause, attempts=before.attempts + 1, first=before.first)
    return letter._replace(cause=cause)
