"""The snapshots of streams in memory."""

from diptych.log import EventLog, Restored, Snapshot, restored
from diptych.log.conditions import STREAM_SEPARATOR

HeldSnapshots = dict[str, Snapshot]
"""What a store in memory holds of snapshots, by stream."""


class MemorySnapshots:
    """See `diptych.log.SnapshotStore` for what it promises."""

    def __init__(self, held: HeldSnapshots, log: EventLog) -> None:
        self._held = held
        self._log = log

    async def restore(self, stream: str, shape: str) -> Restored:
        found = self._held.get(stream)
        return await restored(self._log, stream, None if found is None or found.shape != shape else found)

    async def keep(self, snapshot: Snapshot) -> None:
        self._held[snapshot.stream] = snapshot

    async def delete(self, category: str) -> int:
        streams = [stream for stream in list(self._held) if stream.startswith(category + STREAM_SEPARATOR)]
        for stream in streams:
            self._held.pop(stream, None)
        return len(streams)
