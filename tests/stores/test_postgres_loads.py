"""Loads that wait at the same time share one round trip, and nobody is answered with what was read before asking."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from diptych import Unavailable
from diptych.log import StreamEvents
from diptych.stores.postgres.loads import ROUND_STREAMS, ROUNDS, Loads
from diptych.stores.postgres.log import Wanted
from tests.faults.postgres_tools import opened
from tests.faults.tools import new_append


class Rounds:
    """Round trips that end when they are told to; a stream's version says in which one it was loaded."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.ends: list[asyncio.Future[None]] = []

    async def load_many(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, StreamEvents]:
        self.asked.append([stream for stream, _ in wanted])
        number = len(self.asked)
        self.ends.append(asyncio.get_running_loop().create_future())
        await self.ends[-1]
        return {one: StreamEvents((), number) for one in wanted if one.stream != "none"}


def nothing(wanted: Wanted) -> StreamEvents:
    return StreamEvents((), wanted.after)


async def asked(loads: Loads[Wanted, StreamEvents], *streams: str) -> list[asyncio.Task[StreamEvents]]:
    tasks = [asyncio.create_task(loads.load(Wanted(stream, 0))) for stream in streams]
    await asyncio.sleep(0.01)
    return tasks


async def test_what_is_asked_for_meanwhile_goes_with_the_next_round_trip() -> None:
    rounds = Rounds()
    loads = Loads(rounds.load_many, nothing)
    first = await asked(loads, "a")
    second = await asked(loads, "a", "b", "none")
    third = await asked(loads, "c", "a", "c")
    assert rounds.asked == [["a"], ["a", "b", "none"]]
    rounds.ends[1].set_result(None)
    assert [answer.version for answer in await asyncio.gather(*second)] == [2, 2, 0]
    await asyncio.sleep(0.01)
    assert rounds.asked[2:] == [["c", "a"]]
    for end in rounds.ends[::2]:
        end.set_result(None)
    assert [answer.version for answer in await asyncio.gather(*first, *third)] == [1, 3, 3, 3]
    await loads.close()


async def test_whoever_asks_in_the_moment_in_which_all_round_trips_end_is_answered() -> None:
    rounds = Rounds()
    loads = Loads(rounds.load_many, nothing)

    async def twice() -> int:
        await loads.load(Wanted("a", 0))
        return (await loads.load(Wanted("b", 0))).version

    both = asyncio.create_task(twice())
    await asyncio.sleep(0.01)
    other = await asked(loads, "c")
    assert len(rounds.ends) == ROUNDS
    for end in rounds.ends:
        end.set_result(None)
    await asyncio.gather(*other)
    await asyncio.sleep(0.01)
    assert rounds.asked[ROUNDS:] == [["b"]]
    rounds.ends[-1].set_result(None)
    assert await both == ROUNDS + 1
    await loads.close()


async def test_a_round_trip_loads_so_many_streams_and_there_are_so_many_of_them() -> None:
    rounds = Rounds()
    loads = Loads(rounds.load_many, nothing)
    tasks = await asked(loads, *[f"{number}" for number in range(ROUND_STREAMS * 3)])
    assert [len(streams) for streams in rounds.asked] == [ROUND_STREAMS] * ROUNDS
    for number in range(3):
        rounds.ends[number].set_result(None)
        await asyncio.sleep(0.01)
    assert len(await asyncio.gather(*tasks)) == ROUND_STREAMS * 3


async def test_who_goes_away_harms_nobody_and_an_error_reaches_everyone() -> None:
    rounds = Rounds()
    loads = Loads(rounds.load_many, nothing)
    gone, stays = await asked(loads, "a", "a")
    gone.cancel()
    rounds.ends[0].set_result(None)
    assert (await stays).version == 1
    both = await asked(loads, "a", "b")
    rounds.ends[1].set_exception(Unavailable("away"))
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    (after,) = await asked(loads, "a")
    rounds.ends[2].set_result(None)
    assert (await after).version == 3


@pytest.mark.parametrize("clients", [1, 2, 100])
async def test_each_stream_is_loaded_alone_and_in_order(postgres_url: str, clients: int) -> None:
    async with opened(postgres_url) as log:
        await asyncio.gather(*[log.append(new_append(f"s-{n % 10}", events=n % 4)) for n in range(100)])
        names = [f"s-{n % 11}" for n in range(clients)]
        for name, (events, version) in zip(names, await asyncio.gather(*map(log.load, names)), strict=True):
            assert version == len(events)
            assert {event.stream for event in events} <= {name}
            assert [event.position for event in events] == sorted(event.position for event in events)
