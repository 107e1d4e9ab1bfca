"""Facts that no decision led to: someone records an event as it stands, and it is marked so for ever."""

import hashlib
import os
import time

from diptych.app.context import BoundedContext
from diptych.app.streams import aggregate_of, check_belongs, event_of
from diptych.log import Append, EventLog, Metadata, StreamAt, id_text
from diptych.messages import Event, check_id, to_json
from diptych.write import Receipt, uuid7
from diptych.write.receipt import receipt_of


async def record_as_it_stands(  # noqa: PLR0913 - what is kept of it
    context: BoundedContext,
    log: EventLog,
    stream: str,
    event: Event,
    *,
    expected_version: int | None = None,
    command_id: str | None = None,
    actor: str | None = None,
) -> Receipt:
    """Appends one event, durably; the same command id again gives the first receipt.

    Raises Malformed, NotFound (no aggregate by that name), Conflict (the stream is not at `expected_version`),
    CommandIdReused, Unavailable, OutcomeUnknown.
    """
    rules = aggregate_of(context.aggregates, stream)
    event_of(rules, type(event).__declared__.name)
    for field, value in (("command_id", command_id), ("actor", actor)):
        if value is not None:
            check_id(value, f"$.{field}")
    check_belongs(rules, stream, event)
    milliseconds = time.time_ns() // 1_000_000
    new, kept = context.catalogue.encode(event, uuid7(milliseconds, os.urandom(10)))
    command_id = command_id or id_text(uuid7(milliseconds, os.urandom(10)))
    body = f"{stream}\0{new.type}\0{new.schema}\0".encode() + to_json(kept)
    outcome = await log.append(
        Append(
            command_id,
            hashlib.sha256(b"recorded\0" + body).digest()[:16],
            stream,
            [new],
            None if expected_version is None else StreamAt(expected_version),
            Metadata(command_id=command_id, actor=actor, manual=True).stored(),
        )
    )
    return receipt_of(outcome, log.log_id)
