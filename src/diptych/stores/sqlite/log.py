"""The event log in an SQLite file: group commit under the file's write lock, readers that never wait for it."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from diptych.errors import DiptychError, OutcomeUnknown, ProjectionFailed, Unavailable
from diptych.log import (
    BEGINNING,
    PAGE_EVENTS,
    UNOBSERVED,
    Anchor,
    Append,
    Batch,
    Bell,
    Boundary,
    EventQuery,
    Facts,
    Head,
    Lane,
    LogObserver,
    Match,
    Outcome,
    Page,
    RecordedEvent,
    RecordPage,
    Span,
    SpanPage,
    StoredEvent,
    StoredKind,
    StreamEvents,
    Verdicts,
    in_halves,
    judge,
    judge_batch,
    wait_past,
)
from diptych.read import NOBODY, InStep
from diptych.stores.owner import check_owner
from diptych.stores.sql import load_statements
from diptych.stores.sqlite.append import arrays, facts_of, head_of, outcome_of, write
from diptych.stores.sqlite.bells import ViewBells
from diptych.stores.sqlite.connection import (
    Explained,
    begin_immediate,
    is_read_only,
    open_writer,
    patiently,
    roll_back,
    translate,
)
from diptych.stores.sqlite.files import LOG_FILE
from diptych.stores.sqlite.find import SCAN_EVENTS, find
from diptych.stores.sqlite.in_step import KeptInStep, page_of
from diptych.stores.sqlite.reader import Reader, in_snapshot

POLL = timedelta(milliseconds=20)
"""How often a waiting follower looks for events of other processes."""

INLINE_SECONDS = 0.002
"""A commit that took no longer is followed by one on the event loop: the hop to a thread costs more."""

_SQL = load_statements("diptych.stores.sqlite", "log.sql")
# `_make` without its Python frame: pages are long.
_stored: Callable[[tuple[Any, ...]], StoredEvent] = partial(
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType] - of a tuple of anything
    StoredEvent,
)
_EVENTS = page_of(_SQL["read"], _stored)
_RECORDS = page_of(_SQL["read_records"], lambda row: _record(row))  # noqa: PLW0108 - it stands below
_BAD_DATA = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    TypeError,
    ValueError,
)

Answers = Sequence[Outcome | DiptychError]
Clock = Callable[[], int]
Judge = Callable[[Facts, int], Verdicts]


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class SqliteLog:
    """See `diptych.log.EventLog` for what it promises. It belongs to the event loop that it was opened in."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it is opened with
        self,
        path: Path,
        bell: Bell,
        clock: Clock = wall_clock,
        observer: LogObserver = UNOBSERVED,
        context: str | None = None,
        in_step: InStep = NOBODY,
        bells: ViewBells | None = None,
    ) -> None:
        """`bells` are rung for the views that are kept in step."""
        self._path = path
        self._in_step = KeptInStep(in_step, _EVENTS, _RECORDS)
        self._view_bells = ViewBells() if bells is None else bells
        self._bell = bell
        self._clock = clock
        self._failed: str | None = None
        self._pace = 0.0
        self._kinds: set[tuple[str, int]] = set()
        self._writer = open_writer(path, LOG_FILE)
        try:
            with Explained(path):
                self.log_id: str = patiently(lambda: self._writer.execute(_SQL["log_id"]).fetchone())[0]
                if context is not None:
                    check_owner(path, _owner(self._writer, context), context)
            self._reader = Reader(path)
        except BaseException:  # whatever it was, the file is not left open
            self._writer.close()
            raise
        self._thread = ThreadPoolExecutor(1, "diptych-log")
        self._lane = Lane(self._commit, observer)

    async def close(self) -> None:
        """Waits for the commits in flight, then closes the file."""
        await self._lane.close()
        self._thread.shutdown()
        await self._reader.close()
        self._writer.close()

    # Writing

    async def append(self, append: Append) -> Outcome:
        return await self._lane.append(append)

    async def append_batch(self, batch: Batch) -> Outcome:
        async def commit() -> Outcome | DiptychError:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._commit_batch, batch)

        return await self._lane.alone(commit)

    async def _commit(self, group: Sequence[Append]) -> Answers:
        """Commits the group, or, where one append's data makes that fail, its halves."""
        try:
            return await self._commit_group(group)
        except (ProjectionFailed, *_BAD_DATA) as error:
            if len(group) == 1:
                return [self._refusal("append", error)]
            return await in_halves(group, self._commit)

    async def _commit_group(self, group: Sequence[Append]) -> Answers:
        if self._pace < INLINE_SECONDS and (answers := self._try_commit(group, wait=False)) is not None:
            return answers
        loop = asyncio.get_running_loop()
        patient = partial(self._try_commit, group, wait=True)
        return await loop.run_in_executor(self._thread, patient) or ()

    def _try_commit(self, group: Sequence[Append], *, wait: bool) -> Answers | None:
        """One transaction; None where it would have to wait for the lock, and is not to."""
        start = time.perf_counter()
        try:
            streams = {append.stream for append in group}
            return self._keep(streams, [append.command_id for append in group], partial(judge, group), wait=wait)
        finally:
            self._pace = time.perf_counter() - start

    def _refusal(self, what: str, error: Exception) -> DiptychError:
        """What there is to say of data that the file, or a view that is kept in step, does not take."""
        if isinstance(error, ProjectionFailed):
            return error
        return Unavailable(f"{self._path} does not take this {what}: {error}")

    def _commit_batch(self, batch: Batch) -> Outcome | DiptychError:
        streams = {*batch.expected, *[event.stream for event in batch.events]}
        try:
            answers = self._keep(streams, [batch.command_id], partial(judge_batch, batch), wait=True)
        except (ProjectionFailed, *_BAD_DATA) as error:
            return self._refusal("batch", error)
        assert answers is not None  # noqa: S101 - it waited for the lock
        return answers[0]

    def _keep(
        self, streams: Collection[str], command_ids: Collection[str], judged: Judge, *, wait: bool
    ) -> Answers | None:
        """One transaction; None where another has the lock and `wait` is false. Raises Unavailable, _BAD_DATA."""
        if self._failed is not None:
            raise Unavailable(self._failed)
        self._reader.file.check()  # SQLite goes on writing to a file that has no name any more
        try:
            return self._transaction(streams, command_ids, judged, wait=wait)
        except sqlite3.Error as error:
            roll_back(self._writer)
            if isinstance(error, _BAD_DATA):
                raise
            raise translate(error, self._path) from error
        except BaseException:  # whatever it was, the lock is not kept
            roll_back(self._writer)
            raise

    def _transaction(
        self, streams: Collection[str], command_ids: Collection[str], judged: Judge, *, wait: bool
    ) -> Answers | None:
        writer = self._writer
        if not begin_immediate(writer, wait=wait):
            return None
        now = self._clock()
        verdicts = judged(facts_of(writer, streams, command_ids), now)
        if not verdicts.outcomes:
            writer.execute("ROLLBACK")
            return verdicts.answers
        write(writer, verdicts, self._kinds, now)
        last = verdicts.events[-1] if verdicts.events else None
        followed = [] if last is None else self._in_step.follow(writer, verdicts.events)
        try:
            writer.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_IOERR:
                raise
            # What the disk has of it can be known only after a new start, so nothing more is acknowledged here.
            self._failed = (
                f"{self._path}: the disk failed ({error}). Nothing is written until the store is opened anew."
            )
            roll_back(writer)
            return [OutcomeUnknown(command_id, str(error)) for command_id in command_ids]
        if last is not None:
            self._kinds.update((event.type, event.schema) for event in verdicts.events)
            self._bell.ring(last.position)
            for view in followed:
                self._view_bells.ring(view, last.position)
        return verdicts.answers

    # Reading

    async def load(self, stream: str, after_version: int = 0) -> StreamEvents:
        def work(connection: sqlite3.Connection) -> StreamEvents:
            rows = connection.execute(_SQL["load"], (stream, after_version)).fetchall()
            if not rows:
                return StreamEvents((), after_version)
            return StreamEvents([StoredEvent(*row[:5]) for row in rows], rows[-1][5])

        return await self._reader.run(work)

    async def select(self, query: EventQuery) -> Boundary:
        def work(connection: sqlite3.Connection) -> Boundary:
            found: dict[int, StoredEvent] = {}
            for match in query.matches:
                for row in _select(connection, match):
                    found[row[0]] = StoredEvent(*row)
            return Boundary([found[position] for position in sorted(found)], head_of(connection).position)

        return await self._reader.run(in_snapshot(work))

    async def read(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Page:
        def work(connection: sqlite3.Connection) -> Page:
            rows, upto = _page(connection, "read", after, limit, types)
            return Page(list(map(_stored, rows)), upto, _anchor(connection, after))

        return self._reader.bounded(in_snapshot(work))

    async def read_records(
        self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None
    ) -> RecordPage:
        def work(connection: sqlite3.Connection) -> RecordPage:
            rows, upto = _page(connection, "read_records", after, limit, types)
            return RecordPage([_record(row) for row in rows], upto, _anchor(connection, after))

        return self._reader.bounded(in_snapshot(work))

    async def find(self, span: Span, limit: int = PAGE_EVENTS) -> SpanPage:
        def work(connection: sqlite3.Connection) -> SpanPage:
            rows, end = find(connection, span, limit, head_of(connection).position)
            return SpanPage([_record(row) for row in rows], _anchor(connection, end) or BEGINNING)

        return await self._reader.run(in_snapshot(work))

    async def head(self) -> Head:
        self._reader.file.check()
        return self._reader.bounded(head_of)

    async def anchor(self, position: int) -> Anchor | None:
        return self._reader.bounded(lambda connection: _anchor(connection, position))

    async def recorded_at(self, position: int) -> int | None:
        row = self._reader.bounded(lambda connection: connection.execute(_SQL["event_at"], (position,)).fetchone())
        return None if row is None else int(row[2])

    async def outcome(self, command_id: str) -> Outcome | None:
        def work(connection: sqlite3.Connection) -> Outcome | None:
            row = connection.execute(_SQL["outcome"], (command_id,)).fetchone()
            return None if row is None else outcome_of(connection, row)

        return self._reader.bounded(in_snapshot(work))

    async def kinds(self) -> Sequence[StoredKind]:
        rows = self._reader.bounded(lambda connection: connection.execute(_SQL["kinds"]).fetchall())
        return [StoredKind(*row) for row in rows]

    async def wait_past(self, position: int, timeout: timedelta) -> bool:
        async def look() -> int:
            return (await self.head()).position

        return await wait_past(position, timeout, self._bell, look, lambda: POLL)


def _owner(writer: sqlite3.Connection, context: str) -> str | None:
    """The context that the log belongs to: this one from now on, if there is none yet and the file can be written."""

    def owner() -> str | None:
        found: str | None = writer.execute(_SQL["context"]).fetchone()[0]
        return found

    if patiently(owner) is None:
        try:
            patiently(lambda: writer.execute(_SQL["claim"], (context,)))
        except sqlite3.OperationalError as error:
            if not is_read_only(error):
                raise
    return patiently(owner)


def _anchor(connection: sqlite3.Connection, position: int) -> Anchor | None:
    if position == 0:
        return BEGINNING
    row = connection.execute(_SQL["event_at"], (position,)).fetchone()
    return None if row is None else Anchor(row[0], row[1])


def _page(
    connection: sqlite3.Connection, statement: str, after: int, limit: int, types: Collection[str] | None
) -> tuple[list[tuple[Any, ...]], Anchor]:
    head = head_of(connection)
    if types is None:
        rows = connection.execute(_SQL[statement], (after, limit)).fetchall()
        end = head.position
    else:
        end = min(head.position, after + SCAN_EVENTS)
        wanted = msgspec.json.encode(sorted(types))
        rows = connection.execute(_SQL[f"{statement}_types"], (after, end, wanted, limit)).fetchall()
    if len(rows) == limit:
        end = rows[-1][0]
    if end == head.position:
        return rows, Anchor(head.position, head.event_id)
    return rows, _anchor(connection, end) or BEGINNING


def _record(row: tuple[Any, ...]) -> RecordedEvent:
    tags = tuple(msgspec.json.decode(row[7], type=list[str])) if row[7] else ()
    position, stream, version, type, schema, event_id, recorded_at, _, data, metadata = row
    return RecordedEvent(position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata)


def _select(connection: sqlite3.Connection, match: Match) -> list[tuple[int, str, str, int, bytes]]:
    tags, types = arrays(match)
    if match.tags:
        return connection.execute(_SQL["select_by_tags"], (tags, types, types, len(match.tags))).fetchall()
    if match.types:
        return connection.execute(_SQL["select_by_types"], (types,)).fetchall()
    return connection.execute(_SQL["select_all"]).fetchall()
