"""`diptych event-store append`: a fact is recorded as it stands, by hand, and says so for ever."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number

from diptych import Conflict, Unavailable
from diptych.app.manual import record_as_it_stands
from diptych.app.streams import aggregate_of, event_of
from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.places import store_url
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, WRONG_USE, Stop
from diptych.log.conditions import MAX_VERSION
from diptych.messages import to_json
from diptych.stores import Store, store_at, without_password
from diptych.write import Receipt


def append(  # noqa: PLR0913 - the options that this command has
    stream: str,
    event_data: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    type: Annotated[str | None, Parameter(metavar="TYPE")] = None,
    expected_version: Annotated[int | None, Parameter(validator=Number(gte=0, lte=MAX_VERSION), metavar="N")] = None,
    command_id: Annotated[str | None, Parameter(metavar="ID")] = None,
    actor: Annotated[str | None, Parameter(metavar="ACTOR")] = None,
    target: Target = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int:
    r"""Record an event as it stands. No rule is asked, and its metadata says that it was done by hand.

    An order was shipped while the service was down:

        diptych event-store append order-536365 '{"order_id": "536365"}' \
            --type OrderShipped --actor ann --expected-version 1 \
            --target shop:shop --store sqlite:///shop.db

    Parameters
    ----------
    stream:
        The aggregate's stream: its category, a dash, its id.
    event_data:
        The event as JSON; @FILE reads it from a file, - from stdin.
    type:
        The event's stored name. It may be left out where the aggregate evolves but one.
    expected_version:
        Record it only if the stream is at this version; 0 stands for a new stream.
    command_id:
        Sent again with the same id and the same event, nothing is recorded twice.
    actor:
        Who records it, for the metadata.
    """
    context = context_at(target)
    kind = event_of(aggregate_of(context.aggregates, stream), type)
    event = context.catalogue.received(kind, read_data(event_data))
    url = store_url(store)
    place = store_at(url)
    note_new(place, url)

    async def record() -> Receipt:
        async with context.log(place) as log:
            return await record_as_it_stands(
                context,
                log,
                stream,
                event,
                expected_version=expected_version,
                command_id=command_id,
                actor=actor,
            )

    try:
        receipt = asyncio.run(record())
    except Conflict as error:
        raise Stop(f"{error} Nothing was recorded.", NO) from None
    show(receipt, json=json)
    return DONE


def read_data(text: str) -> bytes:
    """The JSON that is meant: the text itself, that of a file, or stdin's. Raises Stop."""
    if text == "-":
        stdin: TextIO | None = sys.stdin  # None where it was closed
        return b"" if stdin is None else stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise Stop(f"{text[1:]} cannot be read: {error.strerror}", WRONG_USE) from None


def note_new(place: Store, url: str) -> None:
    """Whoever mistypes a URL sees that a new store came of it."""
    try:
        place.must_exist()
    except Unavailable:
        sys.stderr.write(f"A new store is made: {without_password(url)}\n")


def show(receipt: Receipt, *, json: bool) -> None:
    if json:
        sys.stdout.write(to_json(receipt).decode() + "\n")
        return
    told = f"Recorded {', '.join(receipt.events)} as version {receipt.version} of {receipt.stream}"
    sys.stdout.write(f"{told}, position {receipt.token.position}.\n")
    sys.stdout.write(f"Command  {receipt.command_id}\nToken    {receipt.token}\n")
