"""Clients of a log that go on through whatever happens to its server, and remember what they were told."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from diptych import OutcomeUnknown, Unavailable
from diptych.log import Outcome
from diptych.stores.postgres.log import PostgresLog
from tests.faults.postgres_tools import check_tables, opened
from tests.faults.tools import new_append, until


class Crowd:
    """Clients that append again and again, and one who follows, through whatever happens."""

    def __init__(self, log: PostgresLog) -> None:
        self.log = log
        self.kept: dict[str, Outcome] = {}
        self.unknown: list[str] = []
        self.over = False  # no client begins another append
        self.settled = False  # and none has one on its way

    async def client(self, name: int) -> None:
        number = 0
        while not self.over:
            number += 1
            id = f"{name}-{number}"
            try:
                self.kept[id] = await self.log.append(new_append(f"s-{name}", command_id=id))
            except OutcomeUnknown:
                self.unknown.append(id)
            except Unavailable:
                await asyncio.sleep(0.01)

    async def follow(self, log: PostgresLog) -> list[int]:
        seen: list[int] = []
        while not (self.settled and len(seen) == (await log.head()).position):
            try:
                await log.wait_past(len(seen), timedelta(seconds=1))
                seen += [event.position for event in (await log.read(len(seen), 100)).events]
            except Unavailable:
                await asyncio.sleep(0.01)
        return seen

    async def goes_on(self) -> None:
        """Waits until a few hundred more are kept."""
        wanted = len(self.kept) + 200

        async def are_kept() -> bool:
            return len(self.kept) >= wanted

        await until(are_kept, 30)


async def through(url: str, harm: Callable[[Crowd], Awaitable[None]]) -> Crowd:
    """A crowd while harm is done, and afterwards. Everything it was told was kept is there, and it saw nothing else."""
    async with opened(url) as log, opened(url) as other:
        crowd = Crowd(log)
        following = asyncio.create_task(crowd.follow(other))
        clients = [asyncio.create_task(crowd.client(name)) for name in range(16)]
        try:
            await crowd.goes_on()
            await harm(crowd)
            await crowd.goes_on()
        finally:
            crowd.over = True
            await asyncio.gather(*clients)
            crowd.settled = True
        seen = await asyncio.wait_for(following, 10)
        head = (await log.head()).position
        assert seen == list(range(1, head + 1))
        for id, outcome in crowd.kept.items():
            assert await log.outcome(id) == outcome
        assert len(crowd.kept) <= head <= len(crowd.kept) + len(crowd.unknown)
    await check_tables(url)
    return crowd
