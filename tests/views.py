"""Views of a log that is not there: made-up anchors, and a view with rows at position 1."""

from collections.abc import Iterable
from typing import TypeVar

from diptych import View
from diptych.log import Anchor
from diptych.read import Checkpoint, ViewShape, ViewStore

V = TypeVar("V", bound=View)

LOG = "0123456789abcdef"
OTHER_LOG = "fedcba9876543210"


def at(position: int) -> Anchor:
    """The anchor of a position in a log where event ids tell their positions."""
    return Anchor(position, position.to_bytes(16, "big"))


async def begin(store: ViewStore, shape: ViewShape[V], rows: Iterable[V]) -> Checkpoint:
    """The view, live with these rows."""
    (checkpoint,) = (await store.prepare(shape, LOG)).checkpoints
    checkpoint = await store.commit(shape, {shape.key_of(row): row for row in rows}, checkpoint, at(1))
    await store.switch(shape, checkpoint.generation)
    return checkpoint
