"""What the suite of views that are kept in step shares: words that are said, and the fold that counts them.

No tests here. `ViewStoreContract` has them all.
"""
# ruff: noqa: S101 - assert is what a test does

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from diptych.log import Append, EventCatalogue, EventLog, Metadata, NewEvent, Outcome, Recorded, StreamAt
from diptych.messages import Event
from diptych.read import Fold, FoldRules, InStep, Projection, Views, ViewShape, ViewStore
from diptych.stores import Store
from diptych.testing.view_words import Word, live

UNFIT = 2**63
"""A number that no column holds."""


class Said(Event):
    word: str
    times: int = 1


class Sung(Event):
    words: list[str]


class Noted(Event):
    word: str


class Unheard(Event):
    pass


KINDS = EventCatalogue([Said, Sung, Noted, Unheard])


def sung(event: Sung) -> list[str]:
    return event.words


def fold_of(version: int = 1, *, strict: bool = True) -> Fold[Word]:
    """Counts words. What is said badly, it cannot take, unless it is not `strict`."""
    projection = Projection(Word, version=version)

    @projection.on
    def word_said(row: Word | None, event: Said) -> Word:
        if strict and event.word == "bad":
            raise RuntimeError("that is no word")
        times = 0 if row is None else row.times
        return Word(word="another" if event.word == "changed" else event.word, times=times + event.times)

    @projection.on(keys=sung)
    def word_sung(row: Word | None, event: Sung, word: str) -> Word | None:
        return None if row is not None and row.times == 1 else Word(word=word, times=row.times if row else 1)

    @projection.on
    def word_noted(row: Word, event: Recorded[Noted]) -> Word:
        return row.replace(times=event.position)

    problems: list[str] = []
    rules = FoldRules(projection, ViewShape(Word, version), problems)
    assert problems == []
    return Fold(rules, KINDS)


FOLD = fold_of()
NEXT = fold_of(2)
LENIENT = fold_of(strict=False)
WORD = FOLD.shape

_numbers = itertools.count(1)


class Opened(NamedTuple):
    """A log that keeps words in step, and the place of such views."""

    log: EventLog
    views: ViewStore


@asynccontextmanager
async def opened(store: Store, *folds: Fold[Any]) -> AsyncGenerator[Opened]:
    async with store.log(in_step=InStep(folds or (FOLD,))) as log, store.views(in_step=True) as views:
        yield Opened(log, views)


@asynccontextmanager
async def joined(store: Store, fold: Fold[Word] = FOLD, segments: int = 1) -> AsyncGenerator[Opened]:
    """The same, when words are kept in step."""
    async with opened(store, fold) as there:
        await live(there.views, fold.shape, there.log.log_id, segments)
        await there.views.join(fold.shape)
        yield there


def append_of(*events: Event, stream: str = "text-1", version: int | None = None, id: str | None = None) -> Append:
    id = id or f"said-{next(_numbers)}"
    condition = None if version is None else StreamAt(version)
    return Append(id, b"", stream, list(map(new, events)), condition, Metadata(command_id=id).stored())


def new(event: Event) -> NewEvent:
    return KINDS.encode(event, next(_numbers).to_bytes(16, "big"))[0]


async def say(log: EventLog, *words: str, stream: str = "text-1") -> Outcome:
    return await log.append(append_of(*[Said(word=word) for word in words], stream=stream))


async def counts(views: ViewStore, shape: ViewShape[Word] = WORD) -> dict[str, int]:
    """How often each word was said, as a query sees it."""
    async with views.snapshot() as snapshot:
        return {row.word: row.times for row in await Views(snapshot, {Word: shape}, 0)[Word].order_by("word")}
