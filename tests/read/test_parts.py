"""How much of a page a projector applies at once: as many rows as memory bears, for as long as others can wait."""

import itertools
from decimal import Decimal
from typing import Any, cast

import pytest

from diptych import Event, Projection
from diptych.read import NOTHING_WITHHELD, Checkpoint, Fold, ViewStore
from diptych.read.parking import Parking
from diptych.stores.memory import MemoryStore
from tests.read.engine import SHAPE, NewStore, Proxy, catch_up
from tests.read.ledger import ACCOUNTS, Account, Added, checkpoint_of, fold_of, opened, rows, tell


class Wide(Event):
    number: int
    width: int


def wide_keys(event: Wide) -> list[str]:
    return [f"{number}" for number in range(event.width)]


def wide_fold() -> Fold[Account]:
    projection = Projection(Account)

    @projection.on(keys=wide_keys)
    def widened(row: Account | None, event: Wide, key: str) -> Account:
        row = row or Account(key=key)
        return row.replace(count=row.count + 1, total=row.total + event.number)

    return fold_of(projection, [Wide])


async def test_events_of_very_many_rows_are_applied_in_parts_of_bounded_size(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.read.fold.monotonic", lambda: 0.0)  # however slow the machine is

    class Counting(Proxy):
        committed: list[tuple[int, int]]

        async def commit(self, shape: Any, changes: Any, at: Any, upto: Any, letters: Any = ()) -> Checkpoint:
            self.committed.append((upto.position, len(changes)))
            checkpoint: Checkpoint = await self._real.commit(shape, changes, at, upto, letters)
            return checkpoint

    fold, width = wide_fold(), 10_000
    async with opened(new_store()) as (log, views):
        counting = Counting(views)
        counting.committed = []
        await tell(log, *[Wide(number=number, width=width) for number in range(7)])
        await catch_up(fold, log, cast("ViewStore", counting))
        assert counting.committed == [(3, width), (6, width), (7, width)], "a part is over with more than 20,000 steps"
        found = await views.load(SHAPE, ["0", "9999"], await checkpoint_of(views, SHAPE))
        assert found == {key: Account(key=key, count=7, total=Decimal(21)) for key in ("0", "9999")}


async def test_a_page_of_very_many_parts_is_applied(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.read.fold.MAX_STEPS", 1)
    async with opened(memory) as (log, views):
        await tell(log, *[Added(key="a", amount=Decimal(1))] * 4000)
        await catch_up(ACCOUNTS, log, views)
        assert [row.count for row in await rows(views, SHAPE)] == [4000]


async def test_a_page_that_takes_long_is_applied_in_parts_and_others_have_their_turns(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded: list[int] = []
    projection = Projection(Account)

    @projection.on
    def slowly(row: Account | None, event: Added) -> Account:
        folded.append(int(event.amount))
        return (row or Account(key=event.key)).replace(total=event.amount)

    seconds = itertools.count(step=0.1)
    monkeypatch.setattr("diptych.read.fold.monotonic", lambda: next(seconds))
    async with opened(new_store()) as (log, views):
        await tell(log, *[Added(key=f"{number % 3}", amount=Decimal(number)) for number in range(20)])
        committed: list[int] = []

        class Counting(Proxy):
            async def commit(self, shape: Any, changes: Any, at: Any, upto: Any, letters: Any = ()) -> Checkpoint:
                committed.append(upto.position)
                checkpoint: Checkpoint = await self._real.commit(shape, changes, at, upto, letters)
                return checkpoint

        await catch_up(fold_of(projection), log, cast("ViewStore", Counting(views)))
        assert committed == list(range(2, 21, 2)), "a quarter of a second is two events, which take a tenth each"
        assert len(folded) <= 2 + 20, "once more where that was not known yet"
        assert {row.key: row.total for row in await rows(views, SHAPE)} == {"0": 18, "1": 19, "2": 17}


async def test_keys_that_take_long_to_name_close_a_batch(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(step=0.1)
    monkeypatch.setattr("diptych.read.fold.monotonic", lambda: next(seconds))
    async with opened(memory) as (log, _):
        await tell(log, *[Wide(number=number, width=1) for number in range(9)])
        _, planned = wide_fold().plan((await log.read(0)).events, Parking(NOTHING_WITHHELD, ""))
        assert planned == 3
