"""One request and its response, in plain ASGI: the least that the hot routes need, and the bounds on what comes in.

Header names are lower-case bytes here, as ASGI has them. Nothing is known here of commands and queries.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from diptych.app import App
from diptych.app.deadlines import Deadlines
from diptych.errors import TooLarge
from diptych.http.refusals import BadHeader, BodyTimeout, Disconnected, UnsupportedMediaType

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
NOSNIFF = (b"x-content-type-options", b"nosniff")
CLOSE = (b"connection", b"close")


def _as_text(value: object) -> str:
    """Kinds of text, such as a token, are text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


encode = msgspec.json.Encoder(
    order="deterministic", decimal_format="string", uuid_format="canonical", enc_hook=_as_text
).encode
"""The JSON of an answer, the same bytes for the same value. Raises TypeError where there is none."""


class Response(NamedTuple):
    """A whole response; its length is added when it is sent."""

    status: int
    headers: Headers
    body: bytes


class Request:
    """What came in. `root` is the path that the gateway is mounted under, `path` what follows it, both unquoted.

    `unread` tells whether more of it may come: a body that nobody has read to its end.
    """

    __slots__ = ("_lines", "_receive", "command_id", "headers", "method", "path", "root", "scope", "unread")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.root: str = scope.get("root_path", "")
        self.path = path_under(self.root, scope["path"])
        self._lines: list[tuple[bytes, bytes]] = scope["headers"]
        self.headers = dict(self._lines)
        self.command_id: str | None = None
        self.unread = self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    @property
    def parameters(self) -> bytes:
        """What follows the question mark, still quoted."""
        query_string: bytes = self.scope["query_string"]
        return query_string

    def size(self) -> int:
        """Bytes of address and headers."""
        size = len(self.scope.get("raw_path") or b"") + len(self.scope["query_string"])
        for name, value in self._lines:
            size += len(name) + len(value)
        return size

    def single(self, name: bytes) -> bytes | None:
        """The value of a header that may be there once. Raises BadHeader."""
        value = self.headers.get(name)
        if value is not None and len(self.headers) != len(self._lines) and len(self.all(name)) > 1:
            raise BadHeader(shown(name), "it once")
        return value

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for line, value in self._lines if line == name]

    async def json(self, limit: int, deadlines: Deadlines, timeout: timedelta) -> bytes:
        """The body, which must say that it is JSON.

        Raises UnsupportedMediaType, TooLarge, BodyTimeout, and Disconnected when the client is gone.
        """
        check_json(self)
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        try:
            with deadlines.within(timeout):
                return await self._read(limit)
        except TimeoutError:
            raise BodyTimeout(f"The body did not come within {timeout.total_seconds():g} s.") from None

    async def _read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            if not message.get("more_body", False):
                self.unread = False
                return part if not parts else b"".join([*parts, part])
            parts.append(part)


Handle = Callable[[App, Request], Awaitable[Response]]
"""What answers a request. Raises DiptychError for what becomes a problem."""


async def respond(send: Send, response: Response, method: str) -> None:
    """Sends the response; to HEAD, its headers alone."""
    headers = [*response.headers, NOSNIFF]
    if response.status != 304:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})


def path_under(root: str, path: str) -> str:
    """The part of a path below the one that an app is mounted under."""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def check_json(request: Request) -> None:
    """Raises UnsupportedMediaType unless the body is said to be JSON, in UTF-8 and not compressed."""
    kind = request.single(b"content-type")
    if kind != b"application/json" and not (kind and _is_json(kind)):
        raise UnsupportedMediaType("Say Content-Type: application/json, and send JSON in UTF-8.")
    if request.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("Send the body as it is: a Content-Encoding is not undone here.")


def _is_json(kind: bytes) -> bool:
    essence, *parameters = [part.strip().lower() for part in kind.split(b";")]
    if essence != b"application/json" and not (essence.startswith(b"application/") and essence.endswith(b"+json")):
        return False
    charsets = [part.partition(b"=")[2].strip(b' "') for part in parameters if part.startswith(b"charset")]
    return all(charset in (b"utf-8", b"utf8") for charset in charsets)


def shown(name: bytes) -> str:
    """A header's name as people write it."""
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def listed(names: Iterable[str]) -> bytes:
    """A list of tokens as a header has it."""
    return ", ".join(names).encode()


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"A body has at most {limit:,} bytes here.")
