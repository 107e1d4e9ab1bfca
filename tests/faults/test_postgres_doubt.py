"""Faults 16 and 22 on PostgreSQL: what became of an append is told as it is, or called unknown; it is never guessed."""

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import timedelta

import pytest

from diptych import OutcomeUnknown, Unavailable
from diptych.log import FirstOutcome, Outcome
from diptych.stores.postgres import connection, writer
from diptych.stores.postgres import log as log_module
from tests.conftest import new_store
from tests.faults.historian import notes_in
from tests.faults.postgres_tools import (
    Proxy,
    append_in,
    check_tables,
    has,
    opened,
    session,
    waits_for_the_lock,
)
from tests.faults.tools import end, new_append, say, start, until
from tests.postgres import Server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits gives up soon."""
    for module, name, milliseconds in (
        (log_module, "LOCK_TIMEOUT", 500),
        (writer, "RESOLVE_TIMEOUT", 1000),
        (writer, "END_TIMEOUT", 200),
        (connection, "STATEMENT_TIMEOUT", 750),
        (connection, "GRACE", 200),
    ):
        monkeypatch.setattr(module, name, timedelta(milliseconds=milliseconds))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("free_again", [True, False])
async def test_16_an_append_whose_reply_was_lost_is_not_called_unkept_because_others_have_the_lock_then(
    postgres: Server, postgres_url: str, free_again: bool
) -> None:
    proxy = Proxy(postgres.folder)
    async with proxy.serving() as folder:
        behind = postgres_url.replace(str(postgres.folder), str(folder))
        async with opened(behind) as log, opened(postgres_url) as witness, session(postgres_url) as holder:
            for _ in range(2):
                await log.append(new_append("a-1"))  # each of its statements is prepared now
            proxy.mute = True
            append = new_append("order-1", command_id="lost")
            waiting = asyncio.create_task(log.append(append))
            await until(lambda: has(witness, 3))
            transaction = holder.transaction()
            await transaction.start()
            await append_in(holder, postgres_url, new_append("held-1"))
            proxy.cut()
            await until(lambda: waits_for_the_lock(postgres_url))
            if free_again:
                await asyncio.sleep(0.3)  # it has given up once by then
                await transaction.rollback()
                assert await waiting == await witness.outcome("lost")
            else:
                with pytest.raises(OutcomeUnknown, match="lock timeout"):
                    await waiting
                await transaction.rollback()
            assert (await log.append(append)).position == 3
    await check_tables(postgres_url)


async def test_16_an_append_is_not_called_unkept_because_another_ones_first_outcome_cannot_be_read(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_url) as log:
        old, new = new_append("a-1"), new_append("b-1")
        first = await log.append(old)

        async def fails(command_ids: Sequence[str]) -> dict[str, Outcome]:
            raise Unavailable("no connection is free")

        with monkeypatch.context() as patch:
            patch.setattr(log, "_outcomes", fails)
            unknown, kept = await asyncio.gather(log.append(old), log.append(new), return_exceptions=True)
        assert isinstance(unknown, OutcomeUnknown)
        assert isinstance(kept, FirstOutcome)
        assert await log.append(old) == first
        assert await log.append(new) == kept
    await check_tables(postgres_url)


@pytest.mark.usefixtures("impatient")
async def test_22_a_backend_that_stands_still_with_the_lock_holds_up_others_in_bounded_time_and_loses_nothing(
    each_postgres: Server,
) -> None:
    url = await asyncio.to_thread(new_store, each_postgres)
    async with opened(url) as log, opened(url) as other, session(url) as holder:
        await asyncio.gather(log.append(new_append("a-1")), other.append(new_append("a-2")))
        transaction = holder.transaction()
        await transaction.start()
        await append_in(holder, url, new_append("held-1"))
        append = new_append("order-1", command_id="stopped")
        waiting = asyncio.create_task(log.append(append))
        backend = await until(lambda: waits_for_the_lock(url))
        os.kill(backend, signal.SIGSTOP)
        try:
            await transaction.rollback()  # the stopped one is given the lock
            with pytest.raises(Unavailable, match=f"held by session {backend}"):
                await other.append(new_append("b-1"))
            with pytest.raises(OutcomeUnknown):
                await waiting
        finally:
            os.kill(backend, signal.SIGCONT)
        outcome = await log.append(append)
        assert (await other.append(new_append("b-1"))).position == 4
        assert outcome == await other.outcome("stopped")
        assert outcome.position == 3
    await check_tables(url)


async def test_22_a_process_that_stands_still_in_the_middle_of_its_appends_holds_up_nobody(postgres_url: str) -> None:
    process = await start("historian", postgres_url, "stopped", 8, 100_000, 0)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        await say(process)
        reading = asyncio.create_task(process.stdout.read())
        async with opened(postgres_url) as log:
            await until(lambda: has(log, 20))
            for _ in range(5):
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(0.02)  # the server ends what it was sent
                head = (await log.head()).position
                assert (await log.append(new_append("other-1"))).position == head + 1
                process.send_signal(signal.SIGCONT)
                await until(lambda at=head: has(log, at + 20))
    finally:
        await end(process)
    assert list(notes_in(await reading))
    await check_tables(postgres_url)
