"""What the HTTP benches serve: the gateway on a store, and the hello of the same server, as `module:name`."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bench.shop import SHOP, WRITING
from diptych.http import Gateway

Message = MutableMapping[str, Any]

STORE = os.environ.get("BENCH_STORE", "memory://")

writing = Gateway(WRITING, STORE)
reading = Gateway(SHOP, STORE, projectors=False)

_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def hello(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The least that an app can do: read the request, say hello."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"hello"})
