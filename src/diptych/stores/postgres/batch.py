"""A batch as the bind values of `append_batch`, and what that answers as an outcome or an error. No I/O.

What the numbers mean stands with the function, in functions.sql.
"""

from typing import Any, NamedTuple

from diptych.errors import DiptychError
from diptych.log import Batch, FirstOutcome, Outcome, repeated, version_conflict
from diptych.stores.postgres.append import ACCEPTED_BEFORE, KEPT, Kept, kept_after, tags_text


class Found(NamedTuple):
    """What the function answers."""

    kind: int
    position: int
    stream_no: int
    version: int


def batch_binds(batch: Batch) -> list[Any]:
    """The events in arrays, and each stream once."""
    streams = {stream: number for number, stream in enumerate(batch.expected, 1)}
    counts = [0] * len(streams)
    stream_nos: list[int] = []
    nths: list[int] = []
    for stream, _, _ in batch.events:
        number = streams.setdefault(stream, len(streams) + 1)
        if number > len(counts):
            counts.append(0)
        counts[number - 1] += 1
        stream_nos.append(number)
        nths.append(counts[number - 1])
    events = [event for _, event, _ in batch.events]
    return [
        batch.command_id,
        batch.fingerprint,
        list(streams),
        [batch.expected.get(stream) for stream in streams],
        stream_nos,
        nths,
        [event.type for event in events],
        [event.schema for event in events],
        [event.event_id for event in events],
        [tags_text(event) for event in events],
        [event.data for event in events],
        [metadata for _, _, metadata in batch.events],
    ]


def kept_batch(batch: Batch, found: Found) -> Kept:
    """What a batch has added to the log."""
    events = batch.events if found.kind == KEPT else ()
    return kept_after(found.position, [(stream, event) for stream, event, _ in events])


def batch_answer(batch: Batch, binds: list[Any], found: Found, before: Outcome | None) -> Outcome | DiptychError:
    """The answer to the batch with these bind values; `before` is the outcome of its command id, if it was accepted."""
    if found.kind == ACCEPTED_BEFORE:
        assert before is not None  # noqa: S101 - the ledger only grows
        return repeated(before, batch.fingerprint)
    streams, stream_nos, nths = binds[2], binds[4], binds[5]
    stream = streams[found.stream_no - 1]
    if found.kind != KEPT:
        return version_conflict(stream, batch.expected[stream], found.version)
    return FirstOutcome(
        batch.command_id,
        batch.fingerprint,
        found.position + len(stream_nos),
        stream,
        found.version + nths[-1],
        tuple([event.type for _, event, _ in batch.events]),
    )
