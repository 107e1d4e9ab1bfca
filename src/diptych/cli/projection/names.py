"""From a name to the projection that is meant."""

from typing import Any

from diptych import BoundedContext
from diptych.cli.words import NO, WRONG_USE, Stop
from diptych.messages.words import did_you_mean
from diptych.read import Fold, TableFold

AFold = Fold[Any] | TableFold


def fold_named(context: BoundedContext, name: str) -> AFold:
    """The fold that fills the view of this name. Raises Stop, naming the nearest one."""
    folds: dict[str, AFold] = {fold.shape.name: fold for fold in context.folds}
    if name not in folds:
        raise Stop(f"context {context.name!r} has no view {name!r}{did_you_mean(name, folds)}", WRONG_USE)
    return folds[name]


def of_rows(fold: AFold, why: str) -> Fold[Any]:
    """A fold of single rows. Raises Stop for any other, with the reason why it has to be one."""
    if isinstance(fold, TableFold):
        raise Stop(f"{fold.shape.name} is a TableProjection: {why}", NO)
    return fold
