"""The event log on PostgreSQL: one call for a group of appends, readers that never wait, followers that are told."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import asyncpg
import msgspec

from diptych.errors import DiptychError, OutcomeUnknown, ProjectionFailed, Unavailable
from diptych.log import (
    BEGINNING,
    PAGE_EVENTS,
    Anchor,
    Append,
    Batch,
    Bell,
    Boundary,
    EventQuery,
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
    in_halves,
    wait_past,
)
from diptych.log.conditions import STREAM_SEPARATOR
from diptych.read import NOBODY, InStep
from diptych.stores.owner import check_owner
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.append import (
    ACCEPTED_BEFORE,
    KEPT,
    Kept,
    accepted_before,
    answers,
    binds,
    binds_of_one,
    kept_events,
)
from diptych.stores.postgres.batch import Found, batch_answer, batch_binds, kept_batch
from diptych.stores.postgres.bells import ViewBells
from diptych.stores.postgres.blockers import held_up
from diptych.stores.postgres.connection import (
    BAD_DATA,
    BY_INDEX,
    DRIVER_ERRORS,
    READERS,
    Connection,
    Pool,
    milliseconds,
    translate,
)
from diptych.stores.postgres.in_step import OUT_OF_STEP, KeptBy, KeptInStep
from diptych.stores.postgres.listener import Listener
from diptych.stores.postgres.loads import Loads
from diptych.stores.postgres.schema import check_schema
from diptych.stores.postgres.writer import Undecided, Writer

LOCK_TIMEOUT = timedelta(seconds=5)
"""How long an append waits for the log's lock before it says that it cannot write."""

ATTEMPTS = 3
"""How often an append is tried while which views are kept in step is changing."""

SCAN_EVENTS = 100_000
"""Events that one page of a filtered read looks at, so that a read for rare types stays short."""

_NOTHING = Head(0, b"", 0)
# `_make` without its Python frame: pages are long.
_stored: Callable[[Iterable[Any]], StoredEvent] = partial(
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType] - of a tuple of anything
    StoredEvent,
)

Answers = Sequence[Outcome | DiptychError]
Clock = Callable[[], int]
Rows = Sequence[asyncpg.Record]


class Wanted(NamedTuple):
    """A stream's events over a version."""

    stream: str
    after: int


class PostgresLog:
    """See `diptych.log.EventLog` for what it promises. It belongs to the event loop that it was opened in.

    `clock` gives microseconds since 1970; without one, times are the server's.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it is opened with
        self,
        address: Address,
        bell: Bell,
        clock: Clock | None,
        observer: LogObserver,
        in_step: InStep = NOBODY,
        bells: ViewBells | None = None,
    ) -> None:
        """`bells` are rung for the views that are kept in step."""
        self._address = address
        self._bell = bell
        self._clock = clock
        self._sql = address.statements("log.sql")
        self._find = address.statements("find.sql")
        self._kinds: set[tuple[str, int]] = set()
        self._writer = Writer(address)
        self._in_step = KeptInStep(
            address, in_step, bells or ViewBells(), (self._sql["read"], _event), (self._sql["read_records"], _record)
        )
        self._pool = Pool(address, "reader", READERS, BY_INDEX)
        self._listener = Listener(address, self._pool, self._hear)
        self._lane = Lane(self._commit, observer)
        self._loads = Loads(self._load_many, lambda wanted: StreamEvents((), wanted.after))
        self.log_id = ""

    async def begin(self, context: str | None) -> None:
        """Looks whether the store is there, of this version, and of this context. Raises Unavailable, NotAStore."""

        async def look(connection: Connection) -> str:
            await check_schema(connection, self._address)
            return str(await connection.fetchval(self._sql["log_id"]))

        self.log_id = await self._pool.run(look)
        if context is not None:
            check_owner(self._address.shown, await self._pool.run(partial(self._owner, context)), context)

    async def _owner(self, context: str, connection: Connection) -> str | None:
        """The context that the log belongs to: this one from now on, if there is none yet and the role may say so."""
        if (owner := await connection.fetchval(self._sql["context"])) is None:
            with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
                await connection.execute(self._sql["claim"], context)
            owner = await connection.fetchval(self._sql["context"])
        return None if owner is None else str(owner)

    async def close(self) -> None:
        """Waits for the commits in flight, then closes the connections."""
        await self._lane.close()
        await self._loads.close()
        await self._listener.close()
        await self._writer.close()
        await self._pool.close()

    # Writing

    async def append(self, append: Append) -> Outcome:
        return await self._lane.append(append)

    async def _commit(self, group: Sequence[Append]) -> Answers:
        """Commits the group, or, where one append's data makes that fail, its halves."""
        try:
            return await self._commit_group(group)
        except (ProjectionFailed, *BAD_DATA) as error:
            if len(group) == 1:
                return [self._refusal("append", error)]
            return await in_halves(group, self._commit)

    def _refusal(self, what: str, error: Exception) -> DiptychError:
        """What there is to say of data that the store, or a view that is kept in step, does not take."""
        if isinstance(error, ProjectionFailed):
            return error
        return Unavailable(f"{self._address.shown} does not take this {what}: {error}")

    async def append_batch(self, batch: Batch) -> Outcome:
        return await self._lane.alone(partial(self._commit_batch, batch))

    async def _commit_batch(self, batch: Batch) -> Outcome | DiptychError:
        kinds = {(event.type, event.schema) for _, event, _ in batch.events}
        values = batch_binds(batch)
        try:
            kept = partial(_kept_batch, batch)
            found = Found(*await self._call("append_batch", kept, not kinds <= self._kinds, *values))
        except Undecided as error:
            return OutcomeUnknown(batch.command_id, str(error))
        except (ProjectionFailed, *BAD_DATA) as error:
            return self._refusal("batch", error)
        before = await self.outcome(batch.command_id) if found.kind == ACCEPTED_BEFORE else None
        if found.kind == KEPT:
            self._kinds |= kinds
            self._ring(found.position + len(batch.events))
        return batch_answer(batch, values, found, before)

    async def _commit_group(self, group: Sequence[Append]) -> Answers:
        try:
            found = await self._call_for(group)
        except Undecided as error:
            return [OutcomeUnknown(append.command_id, str(error)) for append in group]
        said = answers(group, found, await self._before(accepted_before(group, found[0])))
        self._ring(max([one.position for one in said if isinstance(one, Outcome)], default=0))
        return said

    def _ring(self, head: int) -> None:
        if head > self._bell.position:
            self._bell.ring(head)

    async def _call(self, function: str, kept: KeptBy, *values: object) -> asyncpg.Record:
        """What one of the functions says. Raises Undecided, Unavailable, and BAD_DATA as it is."""
        around = [str(milliseconds(LOCK_TIMEOUT)), None if self._clock is None else self._clock()]
        try:
            return await self._appended(self._sql[function], around, values, kept)
        except asyncpg.exceptions.LockNotAvailableError as error:
            raise await held_up(self._address, self._pool, LOCK_TIMEOUT) from error
        except BAD_DATA:
            raise
        except DRIVER_ERRORS as error:
            raise translate(error, self._address) from error

    async def _appended(
        self, sql: str, around: Sequence[object], values: Sequence[object], kept: KeptBy
    ) -> asyncpg.Record:
        """One statement; or, where views are kept in step, a transaction that brings them forward as well."""
        for _ in range(ATTEMPTS):
            following = self._in_step.following
            binds = [*around, following, *values]
            try:
                if not following:
                    return await self._writer.fetch(sql, binds)
                return await self._writer.run(partial(self._in_step.append, sql, binds, kept))
            except asyncpg.exceptions.DeadlockDetectedError:  # with whoever moves the segments of several views
                continue
            except asyncpg.PostgresError as error:
                if error.sqlstate != OUT_OF_STEP:
                    raise
            await self._pool.run(self._in_step.look)
        raise Unavailable(f"{self._address.shown}: which views are kept in step is changing; try again in a moment.")

    async def _before(self, command_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """What became of these commands before, or nothing: others of the group are kept, and must not fail with it."""
        with suppress(DiptychError):
            return await self._outcomes(command_ids) if command_ids else {}
        return {}

    async def _call_for(self, group: Sequence[Append]) -> Any:
        """For each append its kind and two numbers, in three arrays."""
        kinds = {(event.type, event.schema) for append in group for event in append.events}
        new_kinds = not kinds <= self._kinds
        if len(group) == 1 and not new_kinds and (values := binds_of_one(group[0])) is not None:
            return [[number] for number in await self._call("append_one", partial(_kept_one, group), *values)]
        found = await self._call("append_group", partial(_kept_group, group), new_kinds, *binds(group))
        if KEPT in found[0]:
            self._kinds |= {
                (event.type, event.schema)
                for append, kind in zip(group, found[0], strict=True)
                if kind == KEPT
                for event in append.events
            }
        return found

    # Reading

    async def load(self, stream: str, after_version: int = 0) -> StreamEvents:
        return await self._loads.load(Wanted(stream, after_version))

    async def _load_many(self, wanted: Sequence[Wanted]) -> Mapping[Wanted, StreamEvents]:
        """A stream's versions are 1, 2, 3, …, so its version follows from the number of its events."""
        if len(wanted) == 1:
            rows = await self._fetch("load", *wanted[0])
            return {wanted[0]: StreamEvents(list(map(_stored, rows)), wanted[0].after + len(rows))}
        found: defaultdict[Wanted, list[StoredEvent]] = defaultdict(list)
        streams, versions = zip(*wanted, strict=True)
        for row in await self._fetch("load_many", streams, versions):
            found[wanted[row["number"] - 1]].append(_stored(row[:5]))
        return {one: StreamEvents(events, one.after + len(events)) for one, events in found.items()}

    async def select(self, query: EventQuery) -> Boundary:
        async def work(connection: Connection) -> Boundary:
            found: dict[int, StoredEvent] = {}
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for match in query.matches:
                    statement, values = _selection(match)
                    for row in await connection.fetch(self._sql[statement], *values):
                        found[row[0]] = _stored(row)
                head = await connection.fetchrow(self._sql["head"])
            return Boundary([found[position] for position in sorted(found)], 0 if head is None else head[0])

        return await self._pool.run(work)

    async def read(self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None) -> Page:
        rows, upto, since = await self._page("read", after, limit, types, 2)
        return Page([_stored(row[:5]) for row in rows], upto, since)

    async def read_records(
        self, after: int, limit: int = PAGE_EVENTS, types: Collection[str] | None = None
    ) -> RecordPage:
        rows, upto, since = await self._page("read_records", after, limit, types, 3)
        return RecordPage([_record(row) for row in rows], upto, since)

    async def find(self, span: Span, limit: int = PAGE_EVENTS) -> SpanPage:
        by = "stream" if span.stream is not None else "tags" if span.tags else "scan"
        piece = span.piece((await self.head()).position, None if span.is_indexed else SCAN_EVENTS)
        statement = self._find[f"find_by_{by}"]
        values = [
            piece.low,
            piece.high,
            sorted(span.types),
            None if span.category is None else span.category + STREAM_SEPARATOR,
            limit,
            *([] if by == "scan" else [span.stream if by == "stream" else min(span.tags), sorted(span.tags)]),
        ]
        if span.backwards:
            statement = statement.replace(" ASC ", " DESC ")
        rows = await self._pool.run(lambda connection: connection.fetch(statement, *values))
        upto = rows[-1]["position"] if len(rows) == limit else piece.upto
        return SpanPage([_record(row) for row in rows], await self.anchor(upto) or BEGINNING)

    async def _page(
        self, statement: str, after: int, limit: int, types: Collection[str] | None, type_column: int
    ) -> tuple[Rows, Anchor, Anchor | None]:
        """Rows in order, the last event that was looked at, and the one that was read after, if the log has it.

        Events come to be seen in order, so that what follows on a page is all that there was when it was read.
        """
        if types is None:
            rows = await self._fetch(statement, after, limit)
        else:
            rows = await self._fetch(f"{statement}_types", after, limit, list(types), SCAN_EVENTS)
        if not rows:
            last = await self._fetch("last_upto", after)
            return rows, Anchor(*last[0]) if last else BEGINNING, None if after else BEGINNING
        first, upto = [Anchor(row["position"], row["event_id"]) for row in (rows[0], rows[-1])]
        since = None if after else BEGINNING
        if first.position == after:
            since, rows = first, rows[1:]
        if types is not None and rows and rows[-1][type_column] not in types:
            rows = rows[:-1]
        return rows, upto, since

    async def head(self) -> Head:
        rows = await self._fetch("head")
        return Head(*rows[0]) if rows else _NOTHING

    async def anchor(self, position: int) -> Anchor | None:
        if position == 0:
            return BEGINNING
        rows = await self._fetch("event_at", position)
        return Anchor(rows[0][0], rows[0][1]) if rows else None

    async def recorded_at(self, position: int) -> int | None:
        rows = await self._fetch("event_at", position)
        return int(rows[0][2]) if rows else None

    async def outcome(self, command_id: str) -> Outcome | None:
        return (await self._outcomes([command_id])).get(command_id)

    async def _outcomes(self, command_ids: Sequence[str]) -> dict[str, Outcome]:
        rows = await self._fetch("outcomes", command_ids)
        return {row[0]: Outcome(row[0], row[1], row[2], row[3], row[4], tuple(row["types"] or ())) for row in rows}

    async def kinds(self) -> Sequence[StoredKind]:
        return [StoredKind(*row) for row in await self._fetch("kinds")]

    async def _fetch(self, statement: str, *values: object) -> Rows:
        return await self._pool.run(lambda connection: connection.fetch(self._sql[statement], *values))

    # Waking

    async def wait_past(self, position: int, timeout: timedelta) -> bool:
        async def look() -> int:
            return (await self.head()).position

        return await wait_past(position, timeout, self._bell, look, lambda: self._listener.poll)

    def _hear(self, word: str) -> None:
        what, _, position = word.partition(" ")
        if what == "log":
            self._bell.ring(int(position))


def _selection(match: Match) -> tuple[str, list[object]]:
    if match.tags:
        return "select_by_tags", [sorted(match.tags), sorted(match.types)]
    if match.types:
        return "select_by_types", [sorted(match.types)]
    return "select_all", []


def _kept_one(group: Sequence[Append], row: asyncpg.Record) -> Kept:
    return kept_events(group, [row[0]], [row[1]])


def _kept_group(group: Sequence[Append], row: asyncpg.Record) -> Kept:
    return kept_events(group, row[0], row[1])


def _kept_batch(batch: Batch, row: asyncpg.Record) -> Kept:
    return kept_batch(batch, Found(*row))


def _event(row: asyncpg.Record) -> StoredEvent:
    return StoredEvent(*row[:5])


def _record(row: asyncpg.Record) -> RecordedEvent:
    position, stream, version, type, schema, event_id, recorded_at, tags, data, metadata = row
    names = tuple(msgspec.json.decode(tags, type=list[str]))
    return RecordedEvent(position, stream, version, type, schema, event_id, recorded_at, names, data, metadata)
