"""Connections to SQLite files: how they are opened, what they may do, and what their errors mean to a user."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple, TypeVar

from diptych.errors import NotAStore, Unavailable
from diptych.stores.sqlite.place import has_wal, may_be_written

T = TypeVar("T")


RESTORE = "restore it from a backup"
"""What to do about a damaged file of the log."""

DISPOSABLE = "delete it while nothing runs: views are folded from the log again"
"""What to do about a damaged file of views."""


class FileKind(NamedTuple):
    """What a file of ours is: its number in SQLite's header (`application_id`), its schema and that schema's number.

    `timeout` is how long SQLite itself waits for a lock, blocking whoever called it. `upgrades` has the statements that
    bring a file from the format before to the one of this number. `damaged` says what to do about a damaged file.
    """

    application_id: int
    what: str
    script: Sequence[str]
    format: int
    synchronous: str
    timeout: timedelta
    upgrades: Mapping[int, Sequence[str]] = MappingProxyType({})
    damaged: str = RESTORE


MINIMUM_SQLITE = (3, 37, 0)
"""STRICT tables came with this version."""

LOCK_TIMEOUT = timedelta(seconds=5)
"""How long a writer waits for another process's transaction before it says that it cannot write."""

CHECKPOINT_PAGES = 4000
"""Pages of 4 KiB after which the write-ahead log is folded into the file: fewer, larger folds write less in all."""

STATEMENT_CACHE = 256

_RETRY_SECONDS = 0.0005
_BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def open_writer(path: Path, kind: FileKind) -> sqlite3.Connection:
    """A connection that may write, in WAL mode, to a file of this kind, which is made if there is none.

    Where the place is read-only, and the file is there, it only reads. It may wait for another process's lock. Raises
    Unavailable, and NotAStore, leaving the file as it is.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        raise Unavailable(f"SQLite {sqlite3.sqlite_version} is too old: Diptych needs 3.37 or newer.")
    with Explained(path):
        try:
            return _open_writer(path, kind)
        except sqlite3.OperationalError as error:
            if not _is_kept_from_writing(error, path):
                raise
    connection = open_reader(path)
    try:
        with Explained(path):
            _check_newest(connection, path, kind)
    except BaseException:  # whatever it was, the file is not left open
        connection.close()
        raise
    return connection


def _open_writer(path: Path, kind: FileKind) -> sqlite3.Connection:
    with closing(_connect(path, kind)) as maker:  # what it remembers of the file may be out of date when it is done
        patiently(lambda: _make(maker, path, kind))
    connection = _connect(path, kind)
    try:
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {kind.synchronous}",
            "trusted_schema = OFF",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "journal_size_limit = 67108864",
        ):
            patiently(partial(_set, connection, pragma))
    except BaseException:  # whatever it was, the file is not left open
        connection.close()
        raise
    return connection


def _connect(path: Path, kind: FileKind) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=kind.timeout.total_seconds(),
        cached_statements=STATEMENT_CACHE,
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that the database itself holds to reading. Raises Unavailable, NotAStore."""
    with Explained(path):
        try:
            return _open_reader(path, "mode=ro")
        except sqlite3.OperationalError as error:
            if not _is_kept_from_writing(error, path):
                raise
        if has_wal(path):
            raise Unavailable(
                f"{path} has its newest pages in {path.name}-wal, and SQLite reads that only where it may write: copy "
                "both files to such a folder."
            )
        return _open_reader(path, "mode=ro&immutable=1")


def is_frozen(connection: sqlite3.Connection) -> bool:
    """Whether it reads a file as one that nobody changes: without the write-ahead log that every file here has."""
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal")


def _open_reader(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=LOCK_TIMEOUT.total_seconds(),
        cached_statements=STATEMENT_CACHE,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        patiently(lambda: connection.execute("PRAGMA schema_version").fetchone())  # what is wrong comes out by reading
    except BaseException:  # whatever it was, the file is not left open
        connection.close()
        raise
    return connection


def _is_kept_from_writing(error: sqlite3.OperationalError, path: Path) -> bool:
    """Whether SQLite could not make its own files beside one that is there, in a folder that is read-only."""
    code = error.sqlite_errorcode & 0xFF
    return code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN} and _holds(
        lambda: path.is_file() and not may_be_written(path.absolute().parent)
    )


def begin_immediate(connection: sqlite3.Connection, *, wait: bool) -> bool:
    """Takes the file's write lock. False if another connection has it, and `wait` is false."""
    if not wait:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return False
            raise
        return True
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
    return True


def _format(connection: sqlite3.Connection, path: Path, kind: FileKind) -> int:
    """The format of a file of this kind; 0 for an empty one. Raises NotAStore for everything else."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == 0 and found == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
        return 0
    if application != kind.application_id:
        raise NotAStore(f"{path} is an SQLite database, and not {kind.what}; give the path of a new file.")
    if found != kind.format and found + 1 not in kind.upgrades:
        raise NotAStore(f"{path} has format {found}, and this version of Diptych reads format {kind.format}.")
    return found


def _check_newest(connection: sqlite3.Connection, path: Path, kind: FileKind) -> None:
    """Raises Unavailable for a file that would have to be written before it is read."""
    if (found := _format(connection, path, kind)) != kind.format:
        raise Unavailable(f"{path} has format {found}, and gets format {kind.format} where it can be written.")


def _make(connection: sqlite3.Connection, path: Path, kind: FileKind) -> None:
    """Makes the tables, unless they are there: others may open the same new file at the same time."""
    patiently(lambda: connection.execute("BEGIN"))
    try:
        if _format(connection, path, kind) == kind.format:
            return
    finally:
        roll_back(connection)
    begin_immediate(connection, wait=True)
    try:
        if (found := _format(connection, path, kind)) != kind.format:
            for statement in _due(found, kind):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {kind.application_id}")
            connection.execute(f"PRAGMA user_version = {kind.format}")
            connection.execute("COMMIT")
    finally:
        roll_back(connection)


def _due(found: int, kind: FileKind) -> list[str]:
    """The statements that bring a file of this format to the newest one."""
    if found == 0:
        return list(kind.script)
    return [statement for number in range(found + 1, kind.format + 1) for statement in kind.upgrades[number]]


def roll_back(connection: sqlite3.Connection) -> None:
    """Ends a transaction that is still open, without an error of its own."""
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:  # SQLite has rolled back by itself
            return


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection's lock is in the way."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY_CODES


def is_read_only(error: sqlite3.Error) -> bool:
    """Whether the file cannot be written."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    connection.execute(f"PRAGMA {pragma}").fetchall()


def patiently(action: Callable[[], T]) -> T:
    """Repeats an action that another connection's lock is in the way of, for LOCK_TIMEOUT at most."""
    deadline = time.monotonic() + LOCK_TIMEOUT.total_seconds()
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)


class Explained:
    """A context, to be entered any number of times, that says what SQLite's errors mean: Unavailable or NotAStore.

    They have the file's path and what to do; `damaged` says that about a damaged file.
    """

    __slots__ = ("_damaged", "_path")

    def __init__(self, path: Path, damaged: str = RESTORE) -> None:
        self._path = path
        self._damaged = damaged

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path, self._damaged) from error


def translate(error: sqlite3.Error, path: Path, damaged: str = RESTORE) -> Unavailable:
    """The error that a user gets for one of SQLite's; `damaged` says what to do about a damaged file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    folder = path.absolute().parent
    match code:
        case sqlite3.SQLITE_NOTADB:
            return NotAStore(f"{path} is not an SQLite database; give the path of a new file, or of a Diptych store.")
        case sqlite3.SQLITE_CORRUPT:
            return NotAStore(f"{path} is damaged ({error}); {damaged}.")
        case sqlite3.SQLITE_CANTOPEN if _holds(path.is_dir):
            return Unavailable(f"{path} is a folder; give the path of a file in it.")
        case sqlite3.SQLITE_READONLY if not _holds(path.exists):
            return Unavailable(f"{path} was deleted while it was open; open the store again.")
        case sqlite3.SQLITE_CANTOPEN if not _holds(folder.is_dir):
            return Unavailable(f"{path} cannot be opened: the folder {folder} does not exist.")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return Unavailable(
                f"{path} cannot be written; check the permissions of the file and of the folder {folder}."
            )
        case sqlite3.SQLITE_FULL:
            return Unavailable(
                f"{path} cannot grow: the disk is full. This was not kept; free some space and try again."
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            seconds = LOCK_TIMEOUT.total_seconds()
            return Unavailable(f"Another process has held the write lock of {path} for {seconds:g} s; try again later.")
        case _:
            return Unavailable(f"{path}: {error}")


def _holds(question: Callable[[], bool]) -> bool:
    """A question about a path; one that cannot even be asked, such as of too long a name, holds not."""
    try:
        return question()
    except OSError:
        return False
