"""What is decided on kept states is what would be decided without them, whoever else writes."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diptych import Aggregate, BoundedContext, Command, Event, Moment, Rejected
from diptych.errors import Conflict, DiptychError, OutcomeUnknown, PreconditionFailed
from diptych.log import Anchor, Append, EventLog, Outcome, StreamEvents
from diptych.stores import store_at
from diptych.stores.memory import MemoryStore
from diptych.stores.memory.snapshots import MemorySnapshots
from diptych.write import Envelope, Receipt, States, Surroundings, WriteSide


class Deposit(Command):
    account: str
    amount: int


class Withdraw(Command):
    account: str
    amount: int


class Close(Command):
    account: str


class Deposited(Event):
    account: str
    amount: int
    at: datetime


class Withdrawn(Event):
    account: str
    amount: int


class Closed(Event):
    account: str


@dataclass(frozen=True, slots=True)
class Account:
    balance: int = 0
    last: datetime | None = None
    closed: bool = False


accounts = Aggregate("account", id="account", initial=Account())


@accounts.decide
def deposit(account: Account, command: Deposit, moment: Moment) -> Iterator[Deposited]:
    if account.closed:
        raise Rejected("closed", "This account is closed.")
    yield Deposited(account=command.account, amount=command.amount, at=moment.now)


@accounts.decide
def withdraw(account: Account, command: Withdraw) -> Iterator[Withdrawn]:
    if account.balance < command.amount:
        raise Rejected("too-little", f"There is {account.balance}.")
    yield Withdrawn(account=command.account, amount=command.amount)


@accounts.decide
def close(account: Account, command: Close) -> Iterator[Closed]:
    if account.balance:
        raise Rejected("not-empty", f"There is {account.balance}.")
    if not account.closed:
        yield Closed(account=command.account)


@accounts.evolve
def deposited(account: Account, event: Deposited) -> Account:
    return replace(account, balance=account.balance + event.amount, last=event.at)


@accounts.evolve
def withdrawn(account: Account, event: Withdrawn) -> Account:
    if event.amount == 666:
        raise RuntimeError("an evolve that fails")
    return replace(account, balance=account.balance - event.amount)


@accounts.evolve
def closed(account: Account, event: Closed) -> Account:
    return replace(account, closed=True)


bank = BoundedContext("bank", aggregates=[accounts])


class Watched:
    """A log that writes down its loads, counts the looks at its events, and fails as it is told."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.loads: list[int] = []
        self.anchors = 0
        self.failure: DiptychError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def load(self, stream: str, after_version: int = 0) -> StreamEvents:
        self.loads.append(after_version)
        return await self._log.load(stream, after_version)

    async def anchor(self, position: int) -> Anchor | None:
        self.anchors += 1
        return await self._log.anchor(position)

    async def append(self, append: Append) -> Outcome:
        outcome = await self._log.append(append)
        if self.failure is not None:
            raise self.failure
        return outcome


_numbers = count()


def write_side(log: Any, limit: int = 1_000_000, now: Callable[[], float] = lambda: 1.7e9) -> WriteSide:
    """A left panel of its own, as another process would have it."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    around = Surroundings(now=now, randomness=lambda size: (next(_numbers) % 256**size).to_bytes(size), sleep=sleep)
    return WriteSide(
        bank.aggregates, bank.catalogue, log, around, states=States(limit), snapshots=MemorySnapshots({}, log)
    )


@asynccontextmanager
async def a_log() -> AsyncGenerator[Watched]:
    numbers = count(1)
    async with MemoryStore(lambda: next(numbers)).log() as log:
        yield Watched(log)


async def done(side: WriteSide, command: Command, **envelope: Any) -> Receipt:
    return await side.execute(command, Envelope(**envelope))


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),  # which of two processes
        st.one_of(
            st.builds(Deposit, account=st.sampled_from("ab"), amount=st.integers(0, 3)),
            st.builds(Withdraw, account=st.sampled_from("ab"), amount=st.integers(0, 3)),
            st.builds(Close, account=st.sampled_from("ab")),
        ),
        st.sampled_from(["1", "2", "3", None, None]),  # command ids that come again
        st.sampled_from([None, None, None, 1, 2]),  # versions that clients have seen
    ),
    max_size=25,
)


async def told(steps: Sequence[tuple[int, Command, str | None, int | None]], limit: int) -> list[Any]:
    """What two processes on one log answer, and what is in the log then."""
    async with a_log() as log:
        time = 1_700_000_000
        sides = [write_side(log, limit, lambda: time), write_side(log, limit, lambda: time)]
        answers: list[Any] = []
        for number, (side, command, command_id, version) in enumerate(steps):
            time += 1
            try:
                receipt = await done(
                    sides[side], command, command_id=command_id or f"own-{number}", expected_version=version
                )
                answers.append((receipt.stream, receipt.version, receipt.events, receipt.token.position))
            except DiptychError as error:
                answers.append((error.code, error.detail))
        records = (await log.read_records(0)).events
        return [answers, [(record.stream, record.version, record.type, record.data) for record in records]]


@given(STEPS)
@settings(deadline=None)
def test_two_processes_answer_the_same_with_and_without_kept_states(
    steps: list[tuple[int, Command, str | None, int | None]],
) -> None:
    assert asyncio.run(told(steps, 1_000_000)) == asyncio.run(told(steps, 0))


async def test_a_stream_that_somebody_comes_back_to_is_loaded_once() -> None:
    async with a_log() as log:
        side = write_side(log)
        for _ in range(5):
            await done(side, Deposit(account="a", amount=1))

        assert log.loads == [0, 0], "once as it began, and once as it was come back to"


async def test_a_rejection_on_an_overtaken_state_is_decided_again_on_the_events_since() -> None:
    async with a_log() as log:
        side, other = write_side(log), write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side, Deposit(account="a", amount=1))
        await done(other, Deposit(account="a", amount=10))
        log.loads.clear()

        receipt = await done(side, Withdraw(account="a", amount=12))

        assert receipt.version == 4
        assert log.loads == [2]


async def test_a_rejection_is_one_of_the_state_that_the_log_has() -> None:
    async with a_log() as log:
        side, other = write_side(log), write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side, Deposit(account="a", amount=1))
        await done(other, Deposit(account="a", amount=10))

        with pytest.raises(Rejected, match="There is 12"):
            await done(side, Withdraw(account="a", amount=13))


async def test_nothing_to_do_in_an_overtaken_state_is_decided_again() -> None:
    async with a_log() as log:
        side = write_side(log)
        await done(side, Close(account="a"))
        await done(side, Close(account="a"))
        late = Deposited(account="a", amount=5, at=datetime.fromisoformat("2026-01-01T00:00:00Z"))
        new = bank.catalogue.encode(late, bytes(16))[0]
        await log.append(Append("fact", b"", "account-a", [new], None, b"{}"))  # no decision led to it

        with pytest.raises(Rejected, match="There is 5"):
            await done(side, Close(account="a"))


async def test_an_event_on_an_overtaken_state_is_decided_again_after_the_conflict() -> None:
    async with a_log() as log:
        side, other = write_side(log), write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side, Deposit(account="a", amount=1))
        await done(other, Withdraw(account="a", amount=2))
        log.loads.clear()

        with pytest.raises(Rejected, match="There is 0"):
            await done(side, Withdraw(account="a", amount=1))
        assert log.loads == [2]


async def test_a_version_that_the_client_saw_is_held_against_the_log() -> None:
    async with a_log() as log:
        side, other = write_side(log), write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side, Deposit(account="a", amount=1))
        await done(other, Deposit(account="a", amount=1))

        assert (await done(side, Deposit(account="a", amount=1), expected_version=3)).version == 4
        with pytest.raises(PreconditionFailed):
            await done(side, Deposit(account="a", amount=1), expected_version=2)


async def test_an_outcome_that_nobody_knows_forgets_the_state() -> None:
    async with a_log() as log:
        side = write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side, Deposit(account="a", amount=1))
        log.failure = OutcomeUnknown("c", "the disk failed")
        with pytest.raises(OutcomeUnknown):
            await done(side, Deposit(account="a", amount=1))
        log.failure = None
        log.loads.clear()

        with pytest.raises(Rejected, match="There is 3"):
            await done(side, Withdraw(account="a", amount=4))
        assert log.loads == [0]


async def test_a_command_that_another_process_has_kept_leads_to_its_events_and_no_others() -> None:
    async with a_log() as log:
        side, other = write_side(log), write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side, Deposit(account="a", amount=1))
        first = await done(other, Deposit(account="a", amount=5), command_id="c")

        again = await done(side, Deposit(account="a", amount=5), command_id="c")

        assert again == first
        log.loads.clear()
        await done(side, Withdraw(account="a", amount=7))
        assert log.loads == [2], "what the other process kept was read, and not taken for this one's own"


@pytest.mark.parametrize("known", ["appended", "read"])
async def test_a_state_of_events_that_the_log_has_lost_is_believed_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    monkeypatch.setattr("diptych.write.newest.LOOK", timedelta(0))
    path = tmp_path / "bank.db"
    async with store_at(f"sqlite:///{path}").log() as log:
        side, other = write_side(log), write_side(log)
        await done(side, Deposit(account="a", amount=1))
        await done(side if known == "appended" else other, Deposit(account="a", amount=100))
        await done(side, Deposit(account="a", amount=1))
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("DELETE FROM event WHERE position > 1")
        for _ in range(2):  # to the version that is known
            await done(write_side(log), Deposit(account="a", amount=1))
        with pytest.raises(Rejected, match="There is 3"):
            await done(side, Withdraw(account="a", amount=50))
        assert (await done(side, Withdraw(account="a", amount=3))).version == 4


async def test_whether_the_log_has_lost_its_end_is_looked_at_once_in_a_while() -> None:
    async with a_log() as log:
        side = write_side(log)
        for _ in range(20):
            await done(side, Deposit(account="a", amount=1))
        assert log.anchors <= 2


async def test_an_evolve_that_fails_takes_nothing_from_a_command_that_was_kept() -> None:
    async with a_log() as log:
        side = write_side(log)
        await done(side, Deposit(account="a", amount=500))
        await done(side, Deposit(account="a", amount=500))

        assert (await done(side, Withdraw(account="a", amount=666))).version == 3
        with pytest.raises(RuntimeError, match="fails"):
            await done(side, Deposit(account="a", amount=1))


async def test_two_apps_on_one_file_withdraw_no_more_than_there_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bank.db'}"

    async def withdraw_all(app: Any, name: str) -> int:
        won = 0
        for number in range(60):
            try:
                await app.execute(Withdraw(account="a", amount=1), command_id=f"{name}-{number}")
                won += 1
            except (Rejected, Conflict):
                await asyncio.sleep(0)
        return won

    async with bank.open(url) as one, bank.open(url) as two:
        await one.execute(Deposit(account="a", amount=50))
        won = await asyncio.gather(withdraw_all(one, "one"), withdraw_all(two, "two"))

        assert sum(won) == 50
        assert (await store_version(url)) == 51


async def store_version(url: str) -> int:
    async with store_at(url).log() as log:
        return (await log.load("account-a")).version
