"""The import itself: batch after batch, the next one read while one is on its way, after what an earlier run kept."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence

import msgspec

from diptych.app.imports.batches import Cut, Trail
from diptych.app.imports.lines import LineReader
from diptych.errors import CommandIdReused, Conflict, DiptychError, ImportStopped, ProjectionFailed
from diptych.log import EventLog, FirstOutcome, Outcome, Token

Lines = Iterable[bytes] | AsyncIterable[bytes]

TURN_LINES = 100
"""Lines that are read before others in this event loop get their turn."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import: how many events it has kept, how many an earlier one had, and the position after them."""

    imported: int
    before: int
    token: Token


class Import:
    """Brings lines into a log, of which each is the JSON of an event; blank ones are passed over. It is run once.

    `imported` and `before` count events while it runs, and `line` is the number of the last line that is kept for sure:
    they hold after an error, too.
    """

    def __init__(self, reader: LineReader, log: EventLog, lines: Lines) -> None:
        self._reader = reader
        self._log = log
        self._numbered = _numbered(lines)
        self._trail = Trail()
        self._position = 0
        self._resuming = True
        self.line = 0
        self.imported = 0
        self.before = 0

    async def run(self) -> Imported:
        """Imports all lines, in batches of which each is kept all or none.

        What an earlier run has kept is recognised, and not kept again; so is what this one keeps, if it is cancelled or
        killed. Raises ImportStopped for a line that cannot be taken, Unavailable, OutcomeUnknown.
        """
        keeping: asyncio.Task[None] | None = None
        try:
            async for cut in self._cuts():
                if keeping is not None:
                    await _ended(keeping)
                keeping = asyncio.create_task(self._keep(cut, self._trail.fingerprint()))
        finally:  # also where a line was bad, and where it was cancelled: what is on its way is kept, and counted
            if keeping is not None:
                await _ended(keeping)
        return Imported(imported=self.imported, before=self.before, token=Token.at(self._log.log_id, self._position))

    async def _cuts(self) -> AsyncGenerator[Cut]:
        """The batches that are not in the log, in order."""
        while (first := await anext(self._numbered, None)) is not None:
            number, text = first
            self._trail.add(text)
            command_id = self._trail.command_id()
            if self._resuming and (outcome := await self._log.outcome(command_id)) is not None:
                await self._recognise(number, text, outcome)
                continue
            self._resuming = False
            cut = Cut(command_id, number)
            cut.add(number, text, self._reader)
            while not cut.full and (line := await anext(self._numbered, None)) is not None:
                number, text = line
                self._trail.add(text)
                cut.add(number, text, self._reader)
            yield cut

    async def _recognise(self, first: int, text: bytes, outcome: Outcome) -> None:
        """Passes over the lines of a batch that is in the log. Raises ImportStopped where they are others by now."""
        lines = [(first, text)]
        while len(lines) < len(outcome.types) and (line := await anext(self._numbered, None)) is not None:
            lines.append(line)
            self._trail.add(line[1])
        last, _ = lines[-1]
        missing = len(outcome.types) - len(lines)
        same = self._trail.fingerprint() == outcome.fingerprint if not missing else await self._begins(lines, outcome)
        if not same:
            raise ImportStopped(first, last, _changed(self.line))
        self.line = last
        self.before += len(lines)
        self._position = outcome.position - missing

    async def _begins(self, lines: Sequence[tuple[int, bytes]], outcome: Outcome) -> bool:
        """Whether a batch in the log begins with these lines, of which no fingerprint was kept: its events tell."""
        page = await self._log.read_records(outcome.position - len(outcome.types), len(lines))
        try:
            return all(
                self._reader.is_of(record, text, outcome.command_id)
                for record, (_, text) in zip(page.events, lines, strict=True)
            )
        except DiptychError:  # a line that cannot be taken was not imported
            return False

    async def _keep(self, cut: Cut, fingerprint: bytes) -> None:
        batch = cut.batch(fingerprint)
        try:
            outcome = await self._log.append_batch(batch)
        except Conflict as error:
            raise ImportStopped(cut.first, cut.last, str(error)) from error
        except CommandIdReused as error:
            raise ImportStopped(cut.first, cut.last, _changed(cut.first - 1)) from error
        except ProjectionFailed as error:
            raise ImportStopped(cut.first, cut.last, str(error)) from error
        self._done(cut.last, outcome)

    def _done(self, last: int, outcome: Outcome) -> None:
        self.line = last
        self._position = outcome.position
        if isinstance(outcome, FirstOutcome):
            self.imported += len(outcome.types)
        else:
            self.before += len(outcome.types)


async def _ended(task: asyncio.Task[None]) -> None:
    """Waits for it, and leaves it alone where the waiting is cancelled. Raises what it raises."""
    await asyncio.wait([task])
    task.result()


async def _numbered(lines: Lines) -> AsyncGenerator[tuple[int, bytes]]:
    number = 0
    async for line in _each(lines):
        number += 1
        if number % TURN_LINES == 0:
            await asyncio.sleep(0)
        if text := line.strip():
            yield number, text


async def _each(lines: Lines) -> AsyncGenerator[bytes]:
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            yield line
    else:
        for line in lines:
            yield line


def _changed(after: int) -> str:
    """What is wrong with lines that stand where an earlier import, which began with the same line, had others."""
    those = f"those that were imported after line {after:,}" if after else "those that were imported with their first"
    return (
        f"these are not {those}. Import the same lines as then, with more after them, or only lines that were not "
        "imported yet."
    )
