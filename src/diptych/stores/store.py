"""What a store is to those who open one, and the way from a URL to it.

A store's driver is imported only here, and only when a URL asks for it.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import SplitResult, unquote, urlsplit

from diptych.errors import Malformed, Unavailable
from diptych.log import UNOBSERVED, EventLog, LogObserver, SnapshotStore
from diptych.messages.words import did_you_mean
from diptych.read import NOBODY, InStep, ViewStore
from diptych.stores.urls import ENCODED, without_password

KINDS = ("memory", "postgresql", "sqlite")
"""What a store's URL may begin with."""

SNAPSHOT_KINDS = ("file", "s3")
"""What the URL of a place for snapshots apart may begin with."""


class KeepsSnapshots(Protocol):
    """A place for the snapshots of streams. Each opening belongs to the event loop that it is made in."""

    def snapshots(self, log: EventLog, /) -> AbstractAsyncContextManager[SnapshotStore]:
        """Opens the snapshots of this log, which is open. Nothing is made before there is one to be kept."""
        ...


class Store(KeepsSnapshots, Protocol):
    """A place for a context's log and views, and for its snapshots unless these are kept apart.

    Each opening belongs to the event loop that it is made in.
    """

    @property
    def shared(self) -> bool:
        """Whether another process that opens the same URL has the same log and views."""
        ...

    @property
    def apart(self) -> bool:
        """Whether views that are kept in step with the log are in another place than those that follow it."""
        ...

    def must_exist(self) -> None:
        """For those who only read: raises Unavailable where there is no store yet, and opening it would make one."""
        ...

    def log(
        self, observer: LogObserver = UNOBSERVED, context: str | None = None, in_step: InStep = NOBODY
    ) -> AbstractAsyncContextManager[EventLog]:
        """Opens the log, and makes it if there is none; `observer` hears of its commits.

        `context` is the name of the bounded context that opens it, and that it belongs to if it belongs to none yet;
        who looks at a log as it stands leaves it out. Where it cannot be written, appends are Unavailable. `in_step`
        has the folds for views that are kept in step with the log: without them nothing can be appended where there are
        some.

        Raises Unavailable, and NotAStore, also for the log of another context.
        """
        ...

    def views(self, *, in_step: bool = False) -> AbstractAsyncContextManager[ViewStore]:
        """Opens the views, and makes the place for them if there is none. Raises Unavailable, NotAStore.

        Those that are kept `in_step` with the log are all of them, unless the store keeps them `apart`.
        """
        ...


@runtime_checkable
class Migrates(Protocol):
    """A store whose tables are made by its operator, and not by opening it."""

    async def migrate(self) -> Sequence[str]:
        """Brings the tables to this version, all or nothing, and gives the names of the migrations that it took.

        Raises Unavailable, NotAStore.
        """
        ...


def store_at(url: str) -> Store:
    """The store of a URL: `sqlite:///shop.db` (beside the working folder), `postgresql://host/shop`, `memory://`.

    Raises Malformed for a URL that names no store, Unavailable for one whose driver is not installed.
    """
    parts = _split(url)
    match parts.scheme:
        case "sqlite":
            return _sqlite(url, parts.netloc, unquote(parts.path.removeprefix("/")), parts.query or parts.fragment)
        case "postgresql":
            return _postgres(url)
        case "memory":
            from diptych.stores.memory import MemoryStore  # noqa: PLC0415 - only when it is asked for

            return MemoryStore(lambda: time.time_ns() // 1000)
        case "":
            shown = without_password(url)
            raise Malformed(f"{shown!r} is no store URL; for a file say sqlite:///{shown}")
        case unknown:
            raise Malformed(f"There is no store for {unknown}://{did_you_mean(unknown, KINDS)}")


def snapshots_at(url: str) -> KeepsSnapshots:
    """The place apart from the log that a URL names: `file:///var/lib/shop`, or `s3://bucket/shop`.

    Raises Malformed for a URL that names none, Unavailable where the driver is not installed.
    """
    parts = _split(url)
    if parts.scheme not in SNAPSHOT_KINDS:
        raise Malformed(
            f"{without_password(url)!r} is no place for snapshots; say file:///var/lib/shop, with the whole path, or "
            "s3://bucket/shop"
        )
    try:
        from diptych.stores.objects import ObjectStore  # noqa: PLC0415 - only when it is asked for
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        raise Unavailable('Object storage needs a driver: pip install "diptych[objects]"') from None
    return ObjectStore(url)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        unquote(parts.path).encode()
    except ValueError:  # its text may quote a part of the password
        raise Malformed(f"{without_password(url)!a} is no store URL. {ENCODED}") from None
    return parts


def _sqlite(url: str, host: str, path: str, query: str) -> Store:
    from diptych.stores.sqlite import SqliteStore  # noqa: PLC0415 - only when it is asked for

    if host or query or not path or path == ":memory:" or "\0" in path:
        raise Malformed(
            f"{without_password(url)!r} does not name a file and nothing else; "
            "say sqlite:///shop.db, or with the whole path sqlite:////var/lib/shop.db"
        )
    return SqliteStore(Path(path))


def _postgres(url: str) -> Store:
    try:
        from diptych.stores.postgres import PostgresStore  # noqa: PLC0415 - only when it is asked for
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise Unavailable('PostgreSQL needs a driver: pip install "diptych[postgres]"') from None
    return PostgresStore(url)
