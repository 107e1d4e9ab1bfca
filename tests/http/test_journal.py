"""The journal of commands, and the log's observer: what the gateway asks of the engine."""

import asyncio
from collections.abc import Sequence

import pytest

from diptych import Rejected
from diptych.log import Append, Lane, Outcome
from diptych.write import CommandState, Envelope, Journal, Rejection
from tests.app.shop import PlaceOrder, order, shop


def test_a_command_in_flight_is_known_by_its_state_until_it_is_settled() -> None:
    journal = Journal()
    journal.enter("a", CommandState.RECEIVED)
    journal.enter("a", CommandState.EXECUTING)

    assert journal.in_flight("a") is CommandState.EXECUTING
    journal.settled("a")
    assert journal.in_flight("a") is None


def test_the_oldest_refusals_are_forgotten_and_their_words_are_bounded() -> None:
    journal = Journal(kept_rejections=2)
    for name in "abc":
        journal.refused(name, Rejected("no", "x" * 1000))

    assert journal.rejection("a") is None
    assert journal.rejection("c") == Rejection("no", "x" * 500)


def test_a_refusal_is_forgotten_when_the_command_is_accepted_after_all() -> None:
    journal = Journal()
    journal.refused("a", Rejected("no"))
    journal.settled("a")

    assert journal.rejection("a") is None


async def test_a_command_in_flight_tells_its_stage() -> None:
    async with shop.open("memory://") as app:
        running = asyncio.create_task(app.execute(order("1"), command_id="k"))
        await asyncio.sleep(0)
        assert app.in_flight("k")
        assert (await app.status("k")).state in (CommandState.VALIDATING, CommandState.EXECUTING)
        await running
        assert not app.in_flight("k")
        assert (await app.status("k")).state in (CommandState.PUBLISHED, CommandState.PROJECTED)


async def test_a_command_as_json_is_the_same_command() -> None:
    async with shop.open("memory://") as app:
        first = await app.execute(order("1"), command_id="k")
        data = b'{"lines":[{"price":15.00,"sku":"mug","quantity":1}], "order_id":"1", "customer_id":"c"}'

        assert await app.receive(PlaceOrder.__name__, data, Envelope(command_id="k")) == first


class Seen:
    def __init__(self) -> None:
        self.commits: list[tuple[int, int]] = []

    def committed(self, appends: int, seconds: float, waiting: int) -> None:
        assert seconds >= 0
        self.commits.append((appends, waiting))


@pytest.mark.parametrize("fails", [False, True])
async def test_an_observer_hears_of_every_commit(fails: bool) -> None:
    async def commit(group: Sequence[Append]) -> list[Outcome]:
        await asyncio.sleep(0)
        if fails:
            raise RuntimeError
        return [Outcome(append.command_id, b"", 1, "s", 1, ()) for append in group]

    seen = Seen()
    lane = Lane(commit, seen)
    appends = [lane.append(Append(str(number), b"", "s", (), None, b"")) for number in range(3)]
    await asyncio.gather(*appends, return_exceptions=True)

    assert sum(count for count, _ in seen.commits) == 3
    assert seen.commits[-1][1] == 0
