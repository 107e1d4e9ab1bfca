"""Dead letters in the views' file. Every function works inside the transaction of whoever calls it."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from diptych.read import NOTHING_WITHHELD, Cause, Checkpoint, Held, Hold, Letter, Skip, Superseded, Withheld, segment_of
from diptych.stores.sqlite.checkpoints import SQL

MAX_POSITION = 2**63 - 1


def park(handle: sqlite3.Connection, name: str, at: Checkpoint, letters: Sequence[Letter]) -> int:
    """Keeps letters; how many holds the segment has now."""
    fresh = [hold for hold in {letter.hold for letter in letters} if not _is_held(handle, name, at, hold)]
    handle.executemany(SQL["park"], [_stored(name, at, letter) for letter in letters])
    return _count(handle, name, at, len(fresh))


def settle(  # noqa: PLR0913, PLR0917 - what becomes of a hold
    handle: sqlite3.Connection,
    name: str,
    at: Checkpoint,
    hold: Hold,
    upto: int,
    left: Letter | None,
    skip: Skip | None,
    *,
    loaded: bool,
) -> None:
    """Forgets the letters of a hold up to a position, but for the one that is left, with the next epoch.

    Of a stream nothing may have moved since, if its rows were `loaded` before this transaction.
    """
    position = at.position if hold.stream and loaded else None
    if not handle.execute(SQL["fence"], (name, at.generation, at.segment, at.epoch, position)).fetchall():
        raise Superseded(f"segment {at.segment} of {name} is not where it was at epoch {at.epoch}")
    before = _is_held(handle, name, at, hold)
    handle.execute(SQL["forget"], (name, at.generation, at.segment, *hold, upto))
    if left is not None:
        handle.execute(SQL["park"], _stored(name, at, left))
    if skip is not None:
        handle.execute(SQL["skip"], (name, *skip.hold, skip.position, skip.because, skip.at))
    _count(handle, name, at, _is_held(handle, name, at, hold) - before)


def divide_letters(handle: sqlite3.Connection, name: str, generation: int, segments: int) -> None:
    """The letters of a generation go to the segments that it has by now; what holds back a stream does so in each."""
    keys = [key for (key,) in handle.execute(SQL["parked_keys"], (name, generation)).fetchall()]
    handle.executemany(SQL["assign"], [(segment_of(key, segments), name, generation, key) for key in keys])
    handle.executemany(SQL["copy_streams"], [(name, generation, segment) for segment in range(segments)])
    handle.execute(SQL["cut_streams"], (name, generation, segments))
    handle.execute(SQL["recount"], (name, generation))


def copy_letters(handle: sqlite3.Connection, name: str, generation: int, to: int, upto: int) -> None:
    """Another generation has the letters up to a position, too."""
    handle.execute(SQL["copy_letters"], (name, generation, to, upto))


def withheld(handle: sqlite3.Connection, name: str, at: Checkpoint) -> Withheld:
    """What a projector must know of a segment."""
    holds = handle.execute(SQL["holds"], (name, at.generation, at.segment)).fetchall()
    passed_over = skips(handle, name)
    if not holds and not passed_over:
        return NOTHING_WITHHELD
    return Withheld(
        frozenset([Hold(*hold) for hold in holds]), frozenset([(skip.hold, skip.position) for skip in passed_over])
    )


def skips(handle: sqlite3.Connection, name: str) -> list[Skip]:
    """What is passed over in a view."""
    rows = handle.execute(SQL["skips"], (name,)).fetchall()
    return [Skip(Hold(key, stream), position, because, at) for key, stream, position, because, at in rows]


def letters(  # noqa: PLR0913, PLR0917 - what is asked for
    handle: sqlite3.Connection, name: str, generation: int, hold: Hold | None, after: int, limit: int
) -> list[tuple[int, Letter]]:
    """Letters in order, with their segments."""
    where = (name, generation, after, limit)
    if hold is None:
        return [_letter(row) for row in handle.execute(SQL["letters"], where).fetchall()]
    return [_letter(row) for row in handle.execute(SQL["letters_of"], (*where, *hold)).fetchall()]


def first_letter(
    handle: sqlite3.Connection, name: str, generation: int, keys: Collection[str] | None, upto: int
) -> Letter | None:
    """The first one that holds back one of these keys, or any without."""
    where = (name, generation, upto)
    if keys is None:
        rows = handle.execute(SQL["first_letter"], where).fetchall()
    else:
        rows = handle.execute(SQL["first_letter_of"], (*where, msgspec.json.encode(["", *keys]))).fetchall()
    return _letter(rows[0])[1] if rows else None


def count_letters(handle: sqlite3.Connection, name: str, generation: int, after: int, upto: int | None) -> int:
    """How many there are between two positions."""
    where = (name, generation, after, MAX_POSITION if upto is None else upto)
    return int(handle.execute(SQL["dead_letters"], where).fetchone()[0])


def held_back(handle: sqlite3.Connection, name: str, generation: int, limit: int) -> list[Held]:
    """What a generation holds back, in the order of its first letters."""
    rows = handle.execute(SQL["held_back"], (name, generation, limit)).fetchall()
    firsts = [(count, _letter(row)[1]) for count, *row in rows]
    return [Held(first.hold, count, first) for count, first in firsts]


def _is_held(handle: sqlite3.Connection, name: str, at: Checkpoint, hold: Hold) -> bool:
    return handle.execute(SQL["is_held"], (name, at.generation, at.segment, *hold)).fetchone() is not None


def _count(handle: sqlite3.Connection, name: str, at: Checkpoint, more: int) -> int:
    ((parked,),) = handle.execute(SQL["count_parked"], (more, name, at.generation, at.segment)).fetchall()
    return int(parked)


def _stored(name: str, at: Checkpoint, letter: Letter) -> tuple[Any, ...]:
    hold, position, type, parked_at, cause = letter
    caused = None if cause is None else msgspec.json.encode(cause)
    return (name, at.generation, at.segment, *hold, position, type, parked_at, caused)


def _letter(row: Sequence[Any]) -> tuple[int, Letter]:
    segment, key, stream, position, type, parked_at, cause = row
    caused = None if cause is None else msgspec.json.decode(cause, type=Cause)
    return segment, Letter(Hold(key, stream), position, type, parked_at, caused)
