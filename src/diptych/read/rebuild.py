"""A rebuild: a new generation of a view is filled beside the live one, and replaces it once it is not behind.

The live one is projected and answers all the while. What is filled is kept page by page, so that a rebuild that was
stopped or killed at any moment goes on where it was.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from diptych.log import Anchor, EventLog
from diptych.read.checkpoint import Failure, Generation, State, Superseded, numbered
from diptych.read.folding import AnyFold
from diptych.read.now import utc_now
from diptych.read.store import ViewStore

LOOK = timedelta(milliseconds=100)
"""How often a rebuild looks how far it is, at most."""


class Stopped(Exception):
    """The rebuild cannot go on: why, and what to do, in words."""


class Rebuild:
    """One rebuild of a view, which workers do: they fill the generation of `number`. Several of one view fill the same.

    `began_at`, `position` and `head` are where it began, how far it is, and how far the log was when it last looked.
    """

    def __init__(self, fold: AnyFold, log: EventLog, views: ViewStore) -> None:
        self._shape = fold.shape
        self._log = log
        self._views = views
        self._idle = asyncio.Event()
        self.number = self.began_at = self.position = self.head = 0

    async def begin(self, workers: int = 1, *, anew: bool = False, onto: Anchor | None = None) -> Generation:
        """The unfinished generation that fits, or an empty one; with `anew` an empty one. Raises Stopped.

        One that has dead letters, or has applied what the log has lost, is not gone on with. With `onto` it begins with
        the live one's rows, after that event. It has a segment for each worker at least.
        """
        live = await self._live()
        if live is not None:
            self._check_pause(live)
        segments = max(workers, 1 if live is None else len(live.checkpoints))
        if onto is not None and live is None:
            raise Stopped(f"{self._shape.name} has no rows to begin with; rebuild it from the start of the log")
        generation = await self._views.begin(self._shape, self._log.log_id, segments, anew=anew, onto=onto)
        if onto is None and (generation.parked or not await self._sound(generation)):
            generation = await self._views.begin(self._shape, self._log.log_id, segments, anew=True)
        self._check_pause(generation)
        self.number = generation.number
        self.began_at = self.position = generation.position
        self.head = (await self._log.head()).position
        return generation

    def idle(self) -> None:
        """A worker has nothing left to apply."""
        self._idle.set()

    async def finish(self, *, keep: bool = False, with_letters: bool = False) -> Generation:
        """Waits until the generation is filled, and makes it live. Raises Stopped, Unavailable.

        The one before is kept if `keep`. One with more dead letters than the one before is made live only
        `with_letters`.
        """
        while True:
            goal = self.head  # of the look before: under load the log is always ahead of what is seen after it
            generation = await self._look()
            if generation.live:
                return generation
            if generation.position >= min(goal, self.head):
                if not with_letters:
                    await self._check_letters(generation)
                with suppress(Superseded):
                    await self._views.complete(self._shape, self.number)
                    if await self._views.switch(self._shape, self.number, keep=keep):
                        return await self._look()
                await self._judge_live()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK.total_seconds()):
                    await self._idle.wait()
            self._idle.clear()

    async def _look(self) -> Generation:
        self.head = (await self._log.head()).position
        generation = numbered(await self._views.generations(self._shape), self.number)
        if generation is None or generation.state is State.KEPT:
            raise Stopped(f"another rebuild, or an operator, has ended this one of {self._shape.name} meanwhile")
        self._check_pause(generation)
        self.position = generation.position
        return generation

    async def _live(self) -> Generation | None:
        found = await self._views.generations(self._shape)
        return next((one for one in found if one.live and one.fits(self._shape, self._log.log_id)), None)

    async def _check_letters(self, generation: Generation) -> None:
        live = await self._live()
        if generation.parked <= (0 if live is None else live.parked):
            return
        name = self._shape.name
        raise Stopped(
            f"{name} has more dead letters after the rebuild: they hold back {generation.parked} of its keys. "
            f"The generation before stays live. Look at them: diptych projection letters {name} --generation "
            f"{self.number}. Mend the handler and rebuild again, or take it as it is with --with-letters"
        )

    async def _judge_live(self) -> None:
        """Has it noted if the live generation is ahead of a log that lost its end: it would never be overtaken."""
        live = await self._live()
        if live is None or live.astray or await self._sound(live):
            return
        for at in live.checkpoints:
            reason = "the log holds another event there than the view has applied; it is being rebuilt"
            with suppress(Superseded):  # it has changed hands meanwhile
                await self._views.record_failure(self._shape, at, Failure("log", at.position, reason, utc_now()))

    async def _sound(self, generation: Generation) -> bool:
        """Whether the log holds what the generation has applied."""
        anchors = [(at.anchor, await self._log.anchor(at.position)) for at in generation.checkpoints]
        return all(applied == held for applied, held in anchors)

    def _check_pause(self, generation: Generation) -> None:
        if (pause := generation.pause) is not None:
            raise Stopped(f"{self._shape.name} is paused since {pause.since}; resume it, and rebuild it then")
