"""The way between a state and the snapshot that a store keeps: JSON, the context's codec, and a seal over all of it."""

import hashlib
from typing import Any

from diptych.errors import Malformed
from diptych.log import Anchor, Codec, Snapshot
from diptych.write.state_shape import StateShape

SEAL_BYTES = 16


class SnapshotCodec:
    """Makes snapshots of states and states of snapshots."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def snapshot(self, shape: StateShape, stream: str, version: int, upto: Anchor, state: object) -> Snapshot:
        """The snapshot of a state. Raises Malformed for one that would not be read back as it is."""
        try:
            data = shape.write(state)
        except Malformed as error:
            raise Malformed(f"The state of {stream} cannot be kept: {error.detail}") from None
        bare = Snapshot(stream, version, upto, shape.fingerprint, self._codec.encode(data))
        return bare._replace(data=_seal(bare) + bare.data)

    def state(self, shape: StateShape, snapshot: Snapshot) -> Any:
        """The state in a snapshot of this shape. Raises ValueError for a damaged one, and whatever decoding raises."""
        seal, data = snapshot.data[:SEAL_BYTES], snapshot.data[SEAL_BYTES:]
        if seal != _seal(snapshot._replace(data=data)):
            raise ValueError("its bytes are not those that were written")
        return shape.read(self._codec.decode(data))


def _seal(snapshot: Snapshot) -> bytes:
    """A digest over everything, so that no part of a snapshot is believed that was written for another."""
    stream, version, (position, event_id), shape, data = snapshot
    named = "\0".join((stream, str(version), str(position), event_id.hex(), shape, "")).encode()
    return hashlib.blake2b(named + data, digest_size=SEAL_BYTES).digest()
