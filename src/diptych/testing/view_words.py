"""What the contract's suites of a read store share: a small view, what they write to it, and what is to be seen of it.

No tests here. `ViewStoreContract` has them all.
"""
# ruff: noqa: S101 - assert is what a test does

import time
from collections.abc import AsyncGenerator, Collection
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from diptych.log import Anchor
from diptych.messages import View
from diptych.read import Checkpoint, Generation, Pause, Views, ViewShape, ViewStore
from diptych.stores import Store

V = TypeVar("V", bound=View)

LOG = "0123456789abcdef"
OTHER_LOG = "fedcba9876543210"
SOON = timedelta(seconds=10)
SINCE = "2026-01-31T12:00:00+00:00"
PAUSE = Pause(SINCE, "for the night")


class Word(View, key="word", index=("times",)):
    """What these tests write and read."""

    word: str
    times: int = 1


WORD = ViewShape(Word)
NEXT_WORD = ViewShape(Word, 2)


class ViewsContract:
    """What each suite begins with: the views of the fixture `store`, opened."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture
    async def views(self, store: Store) -> AsyncGenerator[ViewStore]:
        async with store.views() as views:
            yield views


def at(position: int) -> Anchor:
    """The anchor of a position in a log where event ids tell their positions."""
    return Anchor(position, position.to_bytes(16, "big"))


def only(generation: Generation) -> Checkpoint:
    """The checkpoint of a generation of one segment."""
    (checkpoint,) = generation.checkpoints
    return checkpoint


async def live(store: ViewStore, shape: ViewShape[Any], log_id: str = LOG, segments: int = 1) -> Generation:
    """The live generation of this log; a new one goes live where there is none."""
    ready = await store.prepare(shape, log_id, segments)
    assert await store.switch(shape, ready.number)
    return await standing(store, shape)


async def standing(store: ViewStore, shape: ViewShape[Any]) -> Generation:
    """What answers, and where it stands."""
    async with store.snapshot() as snapshot:
        return await snapshot.generation(shape)


async def now(store: ViewStore, at: Checkpoint, shape: ViewShape[Any] = WORD) -> Checkpoint:
    """A segment's checkpoint as it is by now."""
    (generation,) = [one for one in await store.generations(shape) if one.number == at.generation]
    return generation.checkpoints[at.segment]


async def loaded(store: ViewStore, shape: ViewShape[V], keys: Collection[Any]) -> dict[Any, V]:
    """What a projector would load of what answers."""
    return await store.load(shape, keys, (await standing(store, shape)).checkpoints[0])


async def words(store: ViewStore, shape: ViewShape[Word] = WORD) -> list[str]:
    """The words that a query sees."""
    async with store.snapshot() as snapshot:
        return [row.word for row in await Views(snapshot, {Word: shape}, 0)[Word].order_by("word")]


async def write(store: ViewStore, checkpoint: Checkpoint, *new: str, shape: ViewShape[Word] = WORD) -> Checkpoint:
    """Writes words to the generation of a checkpoint, one for each position."""
    for word in new:
        upto = at(checkpoint.position + 1)
        checkpoint = await store.commit(shape, {word: Word(word=word)}, checkpoint, upto)
    return checkpoint


async def until_reached(views: ViewStore, shape: ViewShape[Any], position: int) -> float:
    """When somebody who waits for a position is woken for it, by the monotonic clock."""
    deadline = time.monotonic() + SOON.total_seconds()
    while not await views.reached(shape, position, SOON):
        assert time.monotonic() < deadline, "nobody woke it"
    return time.monotonic()
