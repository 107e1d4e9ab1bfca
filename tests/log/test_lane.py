"""The lane: appends gather while a commit is in flight, keep their order, and every caller gets an answer."""

import asyncio
from collections.abc import Sequence

import pytest

from diptych.errors import Conflict, DiptychError, Unavailable
from diptych.log import Append, Lane, NewEvent, Outcome, in_halves
from diptych.log.lane import WAITING_APPENDS, WAITING_BYTES


def append(id: str, size: int = 0) -> Append:
    events = [NewEvent("A", 1, b"", (), bytes(size))] if size else []
    return Append(id, b"", "s-1", events, None, b"{}")


def kept(one: Append) -> Outcome:
    return Outcome(one.command_id, b"", 0, "s-1", 0, ())


class Held:
    """A commit that ends when it is let go, and remembers what it carried."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.answers: dict[str, DiptychError] = {}
        self.gate = asyncio.Event()

    async def __call__(self, group: Sequence[Append]) -> Sequence[Outcome | DiptychError]:
        self.groups.append([one.command_id for one in group])
        await self.gate.wait()
        return [self.answers.get(one.command_id) or kept(one) for one in group]


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_waits_during_a_commit_goes_together_in_order_of_arrival() -> None:
    held = Held()
    lane = Lane(held)
    tasks = [asyncio.create_task(lane.append(append("0")))]
    await turn()
    tasks += [asyncio.create_task(lane.append(append(f"{number}"))) for number in range(1, 50)]
    await turn()
    assert held.groups == [["0"]]
    held.gate.set()
    outcomes = await asyncio.gather(*tasks)
    assert held.groups == [["0"], [f"{number}" for number in range(1, 50)]]
    assert [outcome.command_id for outcome in outcomes] == [f"{number}" for number in range(50)]


async def test_each_caller_gets_its_own_answer() -> None:
    held = Held()
    held.answers["1"] = Conflict("a", "b")
    held.gate.set()
    lane = Lane(held)
    answers = await asyncio.gather(*[lane.append(append(id)) for id in "012"], return_exceptions=True)
    assert answers[0] == kept(append("0"))
    assert answers[1] is held.answers["1"]
    assert answers[2] == kept(append("2"))


async def test_a_caller_that_is_cancelled_leaves_the_others_their_answers() -> None:
    held = Held()
    lane = Lane(held)
    tasks = [asyncio.create_task(lane.append(append(id))) for id in "0123"]
    await turn()
    tasks[1].cancel()
    late = asyncio.create_task(lane.append(append("4")))
    await turn()
    late.cancel()
    await turn()
    held.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Outcome, asyncio.CancelledError, Outcome, Outcome]
    assert (await lane.append(append("5"))).command_id == "5"


@pytest.mark.parametrize("error", [Unavailable("full"), RuntimeError("a bug"), KeyError("x")])
async def test_a_commit_that_fails_is_told_to_all_of_its_group_and_the_lane_goes_on(error: Exception) -> None:
    failing = [error]

    async def commit(group: Sequence[Append]) -> Sequence[Outcome | DiptychError]:
        if failing:
            raise failing.pop()
        return list(map(kept, group))

    lane = Lane(commit)
    answers = await asyncio.gather(*[lane.append(append(id)) for id in "012"], return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert str(error).strip("'") in str(answers[0])
    assert await lane.append(append("3")) == kept(append("3"))


async def started(lane: Lane, *appends: Append) -> list[asyncio.Task[Outcome]]:
    """Callers that wait for the lane."""
    tasks = [asyncio.create_task(lane.append(one)) for one in appends]
    await turn()
    return tasks


async def test_nobody_waits_behind_more_than_the_commit_in_flight() -> None:
    held = Held()
    lane = Lane(held)
    tasks = await started(lane, append("first"))
    tasks += await started(lane, *[append(f"{number}") for number in range(WAITING_APPENDS)])
    held.gate.set()
    await asyncio.gather(*tasks)
    assert [len(group) for group in held.groups] == [1, WAITING_APPENDS]


async def test_more_than_may_wait_are_refused_at_once_and_harm_nobody() -> None:
    held = Held()
    lane = Lane(held)
    tasks = await started(lane, append("first"))
    tasks += await started(lane, *[append(f"{number}") for number in range(WAITING_APPENDS)])
    with pytest.raises(Unavailable, match="10,000 appends are waiting"):
        await lane.append(append("one more"))
    held.gate.set()
    assert len(await asyncio.gather(*tasks)) == WAITING_APPENDS + 1
    assert await lane.append(append("later")) == kept(append("later"))


async def test_more_bytes_than_may_wait_are_refused_and_one_large_append_is_not() -> None:
    held = Held()
    lane = Lane(held)
    tasks = await started(lane, append("first"))
    tasks += await started(lane, append("large", 2 * WAITING_BYTES))
    with pytest.raises(Unavailable, match="1 appends are waiting"):
        await lane.append(append("one more", 1))
    held.gate.set()
    await asyncio.gather(*tasks)
    tasks = await started(lane, *[append(f"{number}", WAITING_BYTES // 4) for number in range(4)])
    assert len(await asyncio.gather(*tasks)) == 4


async def test_closing_waits_for_what_was_taken_in() -> None:
    held = Held()
    lane = Lane(held)
    tasks = [asyncio.create_task(lane.append(append(id))) for id in "01"]
    await turn()
    closing = asyncio.create_task(lane.close())
    await turn()
    assert not closing.done()
    held.gate.set()
    await closing
    assert all(task.done() or held.groups for task in tasks)
    assert [outcome.command_id for outcome in await asyncio.gather(*tasks)] == ["0", "1"]
    await Lane(held).close()


async def test_where_appends_came_together_those_on_their_way_join_the_next_group() -> None:
    held = Held()
    held.gate.set()
    lane = Lane(held)

    async def one_turn_later() -> None:
        await asyncio.sleep(0)
        await lane.append(append("late"))

    await asyncio.gather(*[lane.append(append(id)) for id in "01"])
    await asyncio.gather(lane.append(append("2")), one_turn_later())

    assert held.groups == [["0", "1"], ["2", "late"]]


async def test_a_lone_append_waits_for_nobody() -> None:
    held = Held()
    held.gate.set()
    lane = Lane(held)

    async def one_turn_later() -> None:
        await asyncio.sleep(0)
        await lane.append(append("late"))

    await lane.append(append("0"))
    await asyncio.gather(lane.append(append("1")), one_turn_later())

    assert held.groups == [["0"], ["1"], ["late"]]


async def test_a_commit_alone_waits_for_the_group_in_flight_and_the_next_group_waits_for_it() -> None:
    held = Held()
    lane = Lane(held)
    done: list[str] = []

    async def alone() -> Outcome:
        done.extend([*map("".join, held.groups), "alone"])
        await turn()
        assert len(held.groups) == 1, "nothing else is committed meanwhile"
        return kept(append("batch"))

    first = asyncio.create_task(lane.append(append("0")))
    await turn()
    batch = asyncio.create_task(lane.alone(alone))
    await turn()
    second = asyncio.create_task(lane.append(append("1")))
    await turn()
    assert done == []
    held.gate.set()
    assert (await batch).command_id == "batch"
    await asyncio.gather(first, second)
    assert done == ["0", "alone"]
    assert held.groups == [["0"], ["1"]]


@pytest.mark.parametrize("error", [Conflict("a", "b"), RuntimeError("broken")])
async def test_a_commit_alone_that_fails_tells_its_caller_and_the_lane_goes_on(error: Exception) -> None:
    held = Held()
    held.gate.set()
    lane = Lane(held)

    async def answers() -> DiptychError:
        if isinstance(error, DiptychError):
            return error
        raise error

    async def fails() -> Outcome:
        raise error

    for commit in (answers, fails):
        with pytest.raises((Conflict, Unavailable)) as raised:
            await lane.alone(commit)
        assert raised.value is error or "broken" in str(raised.value)
    assert (await lane.append(append("1"))).command_id == "1"


async def test_a_commit_alone_is_made_to_its_end_where_its_caller_goes_away() -> None:
    lane = Lane(Held())
    gate = asyncio.Event()
    ended: list[str] = []

    async def alone() -> Outcome:
        await gate.wait()
        ended.append("alone")
        return kept(append("batch"))

    caller = asyncio.create_task(lane.alone(alone))
    await turn()
    caller.cancel()
    closing = asyncio.create_task(lane.close())
    await turn()
    assert not closing.done()
    gate.set()
    await closing
    assert ended == ["alone"]


async def test_a_group_that_cannot_be_kept_is_committed_by_halves_until_each_has_an_answer_of_its_own() -> None:
    tried: list[list[str]] = []

    async def commit(group: Sequence[Append]) -> Sequence[Outcome | DiptychError]:
        names = [one.command_id for one in group]
        tried.append(names)
        if "away" in names:
            raise Unavailable("the store is away")
        if "bad" in names and len(names) > 1:
            return await in_halves(group, commit)
        return [Conflict("a", "b") if name == "bad" else kept(one) for name, one in zip(names, group, strict=True)]

    names = ["1", "2", "bad", "3", "4", "5", "away", "6"]
    answers = await in_halves([append(name) for name in names], commit)
    assert [type(answer).__name__ for answer in answers] == [
        *["Outcome"] * 2,
        "Conflict",
        "Outcome",
        *["Unavailable"] * 4,
    ]
    assert tried == [names[:4], names[:2], names[2:4], ["bad"], ["3"], names[4:]]
