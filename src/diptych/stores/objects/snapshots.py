"""The snapshots of streams as objects: `log id/category/digest of the stream's name`.

The driver's own coroutines can end the process with SIGABRT when it exits, so its plain calls are made on threads.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import TypeVar
from urllib.parse import quote

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from diptych.errors import Unavailable
from diptych.log import Anchor, EventLog, Restored, Snapshot, restored
from diptych.log.conditions import STREAM_SEPARATOR

T = TypeVar("T")

log = logging.getLogger(__name__)

Objects = LocalStore | S3Store

PATIENCE = timedelta(seconds=1)
"""How long a load waits for a snapshot before it reads the events from the first."""

REST = timedelta(seconds=10)
"""How long loads do without snapshots after they could not be read."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int, tuple[int, bytes], str, bytes]).decode


class ObjectSnapshots:
    """See `diptych.log.SnapshotStore` for what it promises. It belongs to the event loop that it was opened in.

    `objects` gives the client, once it is needed; `shown` is what people know it by.
    """

    def __init__(self, objects: Callable[[], Objects], shown: str, log: EventLog) -> None:
        self._make = objects
        self._made: Objects | None = None
        self._shown = shown
        self._log = log
        self._rests_until = 0.0

    async def restore(self, stream: str, shape: str) -> Restored:
        return await restored(self._log, stream, await self._found(stream, shape))

    async def keep(self, snapshot: Snapshot) -> None:
        key, data = self._key(snapshot.stream), _encode(snapshot)
        await self._run(lambda objects: obstore.put(objects, key, data))

    async def delete(self, category: str) -> int:
        return await self._run(lambda objects: _delete(objects, self._prefix(category)))

    async def _found(self, stream: str, shape: str) -> Snapshot | None:
        if monotonic() < self._rests_until:
            return None
        key = self._key(stream)
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                data = await self._run(lambda objects: _read(objects, key))
        except (Unavailable, TimeoutError) as error:
            self._rests_until = monotonic() + REST.total_seconds()
            words = str(error) or f"{self._shown} does not answer"
            log.warning("Snapshots are passed over for %d s: %s", REST.total_seconds(), words)
            return None
        found = None if data is None else self._decoded(stream, data)
        return found if found is not None and (found.stream, found.shape) == (stream, shape) else None

    @staticmethod
    def _decoded(stream: str, data: bytes) -> Snapshot | None:
        try:
            name, version, upto, shape, state = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("The snapshot of %s is damaged and was passed over: %s", stream, error)
            return None
        return Snapshot(name, version, Anchor(*upto), shape, state)

    async def _run(self, work: Callable[[Objects], T]) -> T:
        """Does the work on a thread. Raises Unavailable."""
        try:
            return await asyncio.to_thread(lambda: work(self._objects()))
        except (BaseError, OSError) as error:
            words = str(error).partition("\n")[0]
            raise Unavailable(f"{self._shown}: {words}") from error

    def _objects(self) -> Objects:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _prefix(self, category: str) -> str:
        return f"{self._log.log_id}/{quote(category, safe='').replace('%', '=')}"

    def _key(self, stream: str) -> str:
        digest = hashlib.sha256(stream.encode()).hexdigest()
        return f"{self._prefix(stream.partition(STREAM_SEPARATOR)[0])}/{digest}"


def _read(objects: Objects, key: str) -> bytes | None:
    try:
        return bytes(obstore.get(objects, key).bytes())
    except FileNotFoundError:
        return None


def _delete(objects: Objects, prefix: str) -> int:
    pages = obstore.list(objects, prefix)  # pyright: ignore[reportUnknownMemberType] - one of its overloads is of Arrow
    keys = [found["path"] for page in pages for found in page]
    if keys:
        obstore.delete(objects, keys)
    return len(keys)
