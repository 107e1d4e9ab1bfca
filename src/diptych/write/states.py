"""Folded states, kept between commands in bounded memory: a saving of loads, and never the truth.

A state is kept with the version of its stream. What is decided on it counts only if the append finds the stream at that
version, so one that other processes have overtaken does no harm: the append conflicts, and the rest is loaded. What a
log has lost, and others have appended instead, has versions too: see `newest`.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, NamedTuple, cast

import msgspec

KEPT_BYTES = 64 * 1024 * 1024
"""Memory that kept states may take, by estimate; the one that was used the longest ago goes first."""

LARGEST_PART = 8
"""A state that alone would take more than this part of the memory is not kept."""

ENTRY_BYTES = 400
"""What an entry takes beside its state and its key."""


class KeptState(NamedTuple):
    """The state of a stream after so many events.

    `bytes` is its estimated size, measured at version `measured_at`, plus the stored bytes of the events since.
    `snapshot` is the version of the stream's last snapshot that is known of; 0 for none.
    """

    state: Any
    version: int
    bytes: int
    measured_at: int
    snapshot: int


class States:
    """Kept states by stream. It belongs to one event loop."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._kept: dict[str, KeptState] = {}  # in order of use
        self.bytes = 0

    def get(self, stream: str) -> KeptState | None:
        """The state, if it is kept."""
        kept = self._kept.pop(stream, None)
        if kept is not None:
            self._kept[stream] = kept
        return kept

    def keep(self, stream: str, state: Any, version: int, added: int, snapshot: int = 0) -> None:
        """Keeps the state of a stream in place of an older one, to which events of so many stored bytes were added.

        A state is measured when it is new, and when its stream has grown by a quarter since: to measure a large one for
        each command would cost more than it saves.
        """
        older = self._drop(stream)
        if older is None or version > older.measured_at * 5 // 4:
            measured_at = version
            size = size_of(state, self._limit // LARGEST_PART) + sys.getsizeof(stream) + ENTRY_BYTES
        else:
            measured_at = older.measured_at
            size = older.bytes + added
        if size * LARGEST_PART > self._limit:
            return
        self._kept[stream] = KeptState(state, version, size, measured_at, snapshot)
        self.bytes += size
        while self.bytes > self._limit:
            self._drop(next(iter(self._kept)))

    def forget(self, stream: str) -> None:
        """Nothing is known of the stream any more."""
        self._drop(stream)

    def clear(self) -> None:
        """Nothing is known of any stream any more."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, stream: str) -> KeptState | None:
        kept = self._kept.pop(stream, None)
        if kept is not None:
            self.bytes -= kept.bytes
        return kept


def size_of(value: Any, most: int) -> int:
    """The bytes of a value and of everything that it holds, each counted once; counting ends over `most`."""
    size = 0
    seen: set[int] = set()
    pending = [value]
    while pending and size <= most:
        part = pending.pop()
        if part is None or id(part) in seen or isinstance(part, (bool, type, Enum)):
            continue
        seen.add(id(part))
        size += sys.getsizeof(part)
        if not isinstance(part, (str, int, float, bytes)):
            pending.extend(_held_by(part))
    return size


def _held_by(value: Any) -> Iterable[Any]:
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, Mapping):
        return _keys_and_values(value)
    if isinstance(value, (tuple, list, set, frozenset)):
        return cast("Iterable[Any]", value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return _keys_and_values(getattr(value, "__dict__", {}))


def _keys_and_values(mapping: Any) -> list[Any]:
    return [*mapping.keys(), *mapping.values()]
