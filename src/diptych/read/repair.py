"""What becomes of dead letters: they are applied in order once the handler is mended, or passed over for a reason."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from diptych.errors import NotFound
from diptych.log import EventLog, RecordedEvent, StoredEvent
from diptych.read.checkpoint import Checkpoint, Generation, Superseded, numbered
from diptych.read.fold import Fold, Step
from diptych.read.letters import Hold, Letter, Skip, Withheld
from diptych.read.parking import Parking, cause_of
from diptych.read.projector import utc_now
from diptych.read.shape import Key
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

    def __init__(self, fold: Fold[Any], log: EventLog, views: ViewStore, number: int) -> None:
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
                done, left = await self._apply(await self._at(segment), hold, mine)
            except Superseded:
                continue
            except ValueError as error:  # the store's own reason
                if len(mine) > 1:
                    most = max(most // 2, 1)
                    continue
                left = _failed(mine[0], error)
                await self._views.settle(self._shape, await self._at(segment), hold, left.position, {}, left)
                done = 0
            applied += done
            if left is not None:
                return Retried(hold, applied, left)

    async def skip(self, hold: Hold, position: int, because: str) -> None:
        """Passes over the first letter of a hold, for good: where it fails again, in any generation, it is passed over.

        Raises NotFound where it is not the first letter of the hold.
        """
        while True:
            letters = await self._views.letters(self._shape, self._number, hold, limit=1)
            if not letters or letters[0][1].position != position:
                first = f"; the first event there is {letters[0][1].position}" if letters else ""
                raise NotFound(f"Event {position} is not what holds back {hold} of {self._shape.name}{first}")
            skip = Skip(hold, position, because, utc_now())
            try:
                await self._views.settle(self._shape, await self._at(letters[0][0]), hold, position, {}, skip=skip)
            except Superseded:
                continue
            return

    async def _apply(self, at: Checkpoint, hold: Hold, letters: Sequence[Letter]) -> tuple[int, Letter | None]:
        """Applies letters up to the first that fails; how many, and that one."""
        known = await self._views.withheld(self._shape, at)
        others = Withheld(known.holds - {hold}, known.skips)
        steps: list[Step] = []
        parking = Parking(others, utc_now())
        for letter in letters:
            steps += await self._steps(letter, at, parking)
            if parking.letters:
                break
        rows = await self._views.load(self._shape, {key for _, _, _, key in steps}, at)
        applied = Parking(others, utc_now())
        changes: dict[Key, Any] = self._fold.apply(steps, rows, applied, careful=True)
        failed = min([*parking.letters, *applied.letters], key=lambda letter: letter.position, default=None)
        if failed is None:
            await self._views.settle(self._shape, at, hold, letters[-1].position, changes)
            return len(letters), None
        before = [letter for letter in letters if letter.position < failed.position]
        if before:
            return await self._apply(at, hold, before)
        left = _still(letters[0], failed)
        await self._views.settle(self._shape, at, hold, left.position, {}, left)
        return 0, left

    async def _steps(self, letter: Letter, at: Checkpoint, parking: Parking) -> list[Step]:
        """What the event of a letter asks for, in the hold's own rows."""
        steps, _ = self._fold.plan([await self._event(letter.position)], parking, at.segment, at.segments)
        if not letter.hold.key:
            return steps
        return [step for step in steps if self._shape.key_text(step[3]) == letter.hold.key]

    async def _event(self, position: int) -> StoredEvent | RecordedEvent:
        read = self._log.read_records if self._fold.wants_records else self._log.read
        events = (await read(position - 1, 1)).events
        if not events or events[0].position != position:
            raise NotFound(f"The log does not have event {position} any more.")
        return events[0]

    async def _at(self, segment: int) -> Checkpoint:
        generation = await self._generation()
        return generation.checkpoints[segment]

    async def _generation(self) -> Generation:
        generation = numbered(await self._views.generations(self._shape), self._number)
        if generation is None:
            raise NotFound(f"Generation {self._number} of {self._shape.name} is gone.")
        return generation


def _failed(letter: Letter, error: Exception) -> Letter:
    return letter._replace(cause=cause_of(error, utc_now(), letter.cause))


def _still(letter: Letter, failed: Letter) -> Letter:
    """The letter as it stays, with the cause for which it has failed now."""
    if failed.cause is None:
        return _failed(letter, RuntimeError(f"{failed.hold} is held back as well; retry that first"))
    attempts, first = (letter.cause.attempts, letter.cause.first) if letter.cause else (0, failed.cause.first)
    return letter._replace(cause=msgspec.structs.replace(failed.cause, attempts=attempts + 1, first=first))
