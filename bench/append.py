"""Appends of one event each to the log: 64 clients at once, and a lone one.

Measured: events per second of `EventLog.append`, as the store gives it, durable (synchronous=FULL), each append with
an event of 230 bytes for a new stream, on condition that the stream is new, with a command id, in a fresh file. Clients
are asyncio tasks of one process; each waits for its acknowledgement before its next append.
Limits: bare commits of 100 rows, and of one row. Peer: its recorder (bytes in, as here), with its best number of
threads; and, to inform, a new aggregate saved by its application. UmaDB, with as many clients. Targets:
docs/performance.md.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

from bench import peer_umadb
from bench.engine import append_of, file_url, open_log
from bench.harness import DIPTYCH, RATE, Bench, Contender, Goal, Settings, rate_of_tasks
from bench.limits import bare_commits
from bench.peer_eventsourcing import THREADS, best_append, best_execute_new
from bench.workload import EVENT, EVENT_TYPE, stream_of
from diptych.log import NewEvent, Outcome, StreamAt

CLIENTS = 64


def prepare(clients: int, settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Diptych, the limit and the peer for so many clients."""
    lone = clients == 1
    limit = bare_commits(1 if lone else 100, settings.seconds)
    threads = (1,) if lone else THREADS
    peer = best_append(settings, threads)
    saving = best_execute_new(settings, threads)
    umadb = peer_umadb.appends(clients, settings.seconds)
    ours = Contender(DIPTYCH, lambda folder: {RATE: asyncio.run(_rate(folder, clients, settings.seconds))})
    title = "append, lone client" if lone else f"append, {clients} clients"
    goals = [
        Goal(title, "events/s", against=limit.name, reach=0.75 if lone else 0.25),
        Goal(title, "events/s", against=peer.name, reach=None if lone else 12),
        Goal(title, "events/s", against=umadb.name, reach=None if lone else 3),
        Goal(title, "events/s", against=saving.name),
    ]
    return [ours, limit, peer, umadb, saving], goals


async def _rate(folder: Path, clients: int, seconds: float) -> float:
    async with open_log(file_url(folder / "log.db")) as log:
        numbers = count(1)

        async def work(_: int) -> Outcome:
            number = next(numbers)
            event = NewEvent(EVENT_TYPE, 1, number.to_bytes(16, "big"), (), EVENT)
            return await log.append(append_of(number, stream_of(number), (event,), StreamAt(0)))

        rate = await rate_of_tasks(clients, seconds, work)
        assert (await log.head()).position == next(numbers) - 1
        return rate


BENCHES = (
    Bench("append", "64 clients, one event per append", partial(prepare, CLIENTS)),
    Bench("append-lone", "one client, one event per append", partial(prepare, 1)),
)
