"""Audits, and rows that are put into a view behind its projector's back."""

from collections.abc import Mapping
from typing import Any

from diptych.log import EventLog
from diptych.read import Audit, Difference, Fold, Key, ViewStore, segment_of
from tests.read.ledger import standing


async def audited(
    fold: Fold[Any], log: EventLog, views: ViewStore, share_rows: int = 1000
) -> tuple[Audit, list[Difference]]:
    audit = Audit(fold, log, views, share_rows)
    return audit, [one async for one in audit.run()]


async def differences(fold: Fold[Any], log: EventLog, views: ViewStore) -> list[Difference]:
    return (await audited(fold, log, views))[1]


async def plant(fold: Fold[Any], views: ViewStore, changes: Mapping[Key, Any]) -> None:
    """Writes rows, or deletes them, as no event says."""
    generation = await standing(views, fold.shape)
    for key, row in changes.items():
        at = generation.checkpoints[segment_of(fold.shape.key_text(key), len(generation.checkpoints))]
        await views.commit(fold.shape, {key: row}, at, at.anchor)
