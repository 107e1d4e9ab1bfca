"""Workers and their leases in the views' file. Every function works inside the transaction of whoever calls it."""

import sqlite3
from collections.abc import Sequence

import msgspec

from diptych.read import Checkpoint, Superseded, Worker
from diptych.stores.sqlite.checkpoints import SQL, checkpoint


def beat(handle: sqlite3.Connection, worker: Worker) -> Sequence[Worker]:
    """A worker lives; all there are."""
    handle.execute(SQL["beat"], (worker.id, msgspec.json.encode(sorted(worker.fingerprints))))
    return workers(handle)


def workers(handle: sqlite3.Connection) -> Sequence[Worker]:
    """All there are."""
    return [
        Worker(id, frozenset(msgspec.json.decode(fingerprints)), beat)
        for id, fingerprints, beat in handle.execute(SQL["workers"]).fetchall()
    ]


def expel(handle: sqlite3.Connection, worker: str, beat: int) -> bool:
    """Forgets a worker whose beat is still this one."""
    if not handle.execute(SQL["expel"], (worker, beat)).fetchall():
        return False
    handle.execute(SQL["free"], (worker,))
    return True


def leave(handle: sqlite3.Connection, worker: str) -> None:
    """Forgets a worker."""
    handle.execute(SQL["leave"], (worker,))
    handle.execute(SQL["free"], (worker,))


def take(handle: sqlite3.Connection, name: str, at: Checkpoint, worker: str) -> Checkpoint:
    """Gives a segment to a worker."""
    where = (worker, name, at.generation, at.segment, at.epoch, worker)
    for row in handle.execute(SQL["take"], where).fetchall():
        return checkpoint(at.log_id, at.generation, at.segments, row)
    raise Superseded(f"segment {at.segment} of {name} is not free at epoch {at.epoch} any more, or {worker} is unknown")


def release(handle: sqlite3.Connection, name: str, at: Checkpoint) -> None:
    """Frees a segment that is still at its epoch."""
    handle.execute(SQL["release"], (name, at.generation, at.segment, at.epoch))
