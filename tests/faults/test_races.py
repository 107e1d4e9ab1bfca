"""Fault 7: of any number of racing appends with conditions that exclude each other, exactly one is kept."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diptych import Conflict
from diptych.log import Condition, EventQuery, Match, NoneNewer, Outcome, StreamAt
from tests.faults.tools import check_file, new_append, opened_log

THREADS, RACERS_OF_EACH = 4, 2

Ask = Callable[[int, int], Condition]


def by_version(round_: int, head: int) -> Condition:
    return StreamAt(0)


def by_tag(round_: int, head: int) -> Condition:
    return NoneNewer(EventQuery((Match(frozenset({"Happened"}), frozenset({"race:1"})),)), head)


def by_one_of_two_tags(round_: int, head: int) -> Condition:
    tags = [frozenset({"race:1", f"round:{round_}"}), frozenset({"other:1"})]
    return NoneNewer(EventQuery(tuple([Match(frozenset(), tag) for tag in tags])), head)


def by_type(round_: int, head: int) -> Condition:
    return NoneNewer(EventQuery((Match(frozenset({"Happened"}), frozenset()),)), head)


class Race:
    """Threads with an event loop and a log of their own each, that start each round together."""

    def __init__(self, path: Path, rounds: int, condition: Ask) -> None:
        self.path, self.rounds, self.condition = path, rounds, condition
        self.line = threading.Barrier(THREADS)
        self.results: list[list[Any]] = [[] for _ in range(rounds)]
        self.errors: list[BaseException] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._thread, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.errors == []

    def _thread(self, number: int) -> None:
        try:
            asyncio.run(self._race(number))
        except BaseException as error:  # noqa: BLE001 - the test has to hear of it
            self.errors.append(error)
            self.line.abort()

    async def _race(self, number: int) -> None:
        async with opened_log(self.path) as log:
            for round_ in range(self.rounds):
                self.line.wait(60)
                head = (await log.head()).position
                self.line.wait(60)  # everyone has seen the same
                appends = [
                    new_append(
                        f"raced-{round_}" if self.condition is by_version else f"raced-{round_}-{number}-{each}",
                        condition=self.condition(round_, head),
                        tags=("race:1", f"round:{round_}"),
                    )
                    for each in range(RACERS_OF_EACH)
                ]
                self.results[round_] += await asyncio.gather(*map(log.append, appends), return_exceptions=True)


def race(path: Path, rounds: int, condition: Ask) -> None:
    contest = Race(path, rounds, condition)
    contest.run()
    for results in contest.results:
        assert len(results) == THREADS * RACERS_OF_EACH
        assert sum(isinstance(result, Outcome) for result in results) == 1, results
        for result in results:
            if not isinstance(result, Outcome):
                assert isinstance(result, Conflict)
                assert result.expected
                assert result.found
    check_file(path)


CONDITIONS = [by_version, by_tag, by_one_of_two_tags, by_type]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_7_of_eight_racers_on_one_condition_exactly_one_is_kept(path: Path, condition: Ask) -> None:
    race(path, 50, condition)


@pytest.mark.soak
@pytest.mark.parametrize("condition", CONDITIONS)
def test_7_of_eight_racers_on_one_condition_exactly_one_is_kept_in_each_of_a_thousand_rounds(
    path: Path, condition: Ask
) -> None:
    race(path, 1000, condition)


def test_of_many_who_open_a_log_and_close_it_at_once_nobody_is_refused(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    async def open_and_close(path: Path, line: threading.Barrier) -> None:
        line.wait(60)
        async with opened_log(path) as log:
            await log.head()

    def thread(path: Path, line: threading.Barrier) -> None:
        try:
            asyncio.run(open_and_close(path, line))
        except BaseException as error:  # noqa: BLE001 - the test has to hear of it
            errors.append(error)

    for round_ in range(200):
        line = threading.Barrier(THREADS)
        threads = [threading.Thread(target=thread, args=(tmp_path / f"{round_}.db", line)) for _ in range(THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert errors == []
