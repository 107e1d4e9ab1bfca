"""What a store is to those who open one, and the way from a URL to it.

A store's driver is imported only here, and only when a URL asks for it.
"""

import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from diptych.errors import Malformed
from diptych.log import UNOBSERVED, EventLog, LogObserver
from diptych.messages.words import did_you_mean
from diptych.read import ViewStore


class Store(Protocol):
    """A place for a context's log and views. Each opening belongs to the event loop that it is made in."""

    @property
    def shared(self) -> bool:
        """Whether another process that opens the same URL has the same log and views."""
        ...

    def must_exist(self) -> None:
        """For those who only read: raises Unavailable where there is no store yet, and opening it would make one."""
        ...

    def log(self, observer: LogObserver = UNOBSERVED) -> AbstractAsyncContextManager[EventLog]:
        """Opens the log, and makes it if there is none; `observer` hears of its commits.

        Raises Unavailable, NotAStore.
        """
        ...

    def views(self) -> AbstractAsyncContextManager[ViewStore]:
        """Opens the views, and makes the place for them if there is none. Raises Unavailable, NotAStore."""
        ...


def store_at(url: str) -> Store:
    """The store that a URL names: `sqlite:///shop.db` (beside the working folder), `sqlite:////var/shop.db`, `memory://`.

    Raises Malformed for a URL that names no store.
    """
    try:
        parts = urlsplit(url)
        unquote(parts.path).encode()
    except ValueError as error:
        raise Malformed(f"{url!a} is no store URL: {error}") from None
    match parts.scheme:
        case "sqlite":
            return _sqlite(url, parts.netloc, unquote(parts.path.removeprefix("/")), parts.query or parts.fragment)
        case "memory":
            from diptych.stores.memory import MemoryStore  # noqa: PLC0415 - only when it is asked for

            return MemoryStore(lambda: time.time_ns() // 1000)
        case "":
            raise Malformed(f"{url!r} is no store URL; for a file say sqlite:///{url}")
        case unknown:
            raise Malformed(f"There is no store for {unknown}://{did_you_mean(unknown, ['memory', 'sqlite'])}")


def _sqlite(url: str, host: str, path: str, query: str) -> Store:
    from diptych.stores.sqlite import SqliteStore  # noqa: PLC0415 - only when it is asked for

    if host or query or not path or path == ":memory:" or "\0" in path:
        raise Malformed(
            f"{url!r} does not name a file and nothing else; say sqlite:///shop.db, or with the whole path sqlite:////var/lib/shop.db"
        )
    return SqliteStore(Path(path))
