"""What is held back, as it is shown and typed: a key as itself where it is text, else as the JSON that it is."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from cyclopts import Parameter

from diptych.cli.output import printable
from diptych.cli.words import WRONG_USE, Stop
from diptych.read import Hold

Key = Annotated[str | None, Parameter(metavar="K")]
Stream = Annotated[str | None, Parameter(metavar="STREAM")]


def shown_key(key: str) -> str:
    """A key as it is typed."""
    try:
        plain = msgspec.json.decode(key)
    except msgspec.DecodeError:
        return printable(key)
    return printable(plain if isinstance(plain, str) else key)


def shown_hold(hold: Hold) -> str:
    """What is held back, in words."""
    return f"stream {printable(hold.stream)}" if hold.stream else f"key {shown_key(hold.key)}"


def typed_hold(view: str, held: Iterable[Hold], key: str | None, stream: str | None) -> Hold | None:
    """The hold that is meant among those that there are; None where neither a key nor a stream is. Raises Stop."""
    if key is not None and stream is not None:
        raise Stop("say --key or --stream: a letter holds back one or the other", WRONG_USE)
    if stream is not None:
        meant = [Hold(stream=stream)]
    elif key is not None:
        meant = [Hold(key), Hold(msgspec.json.encode(key).decode())]
    else:
        return None
    known = set(held)
    for hold in meant:
        if hold in known:
            return hold
    raise Stop(
        f"{view} holds back nothing of {shown_hold(meant[-1])}; see: diptych projection letters {view}", WRONG_USE
    )
