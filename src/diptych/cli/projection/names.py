"""From a name to the projection that is meant."""

from typing import Any

from diptych import BoundedContext
from diptych.cli.words import WRONG_USE, Stop
from diptych.messages.words import did_you_mean
from diptych.read import Fold


def fold_named(context: BoundedContext, name: str) -> Fold[Any]:
    """The fold that fills the view of this name. Raises Stop, naming the nearest one."""
    folds = {fold.shape.name: fold for fold in context.folds}
    if name not in folds:
        raise Stop(f"context {context.name!r} has no view {name!r}{did_you_mean(name, folds)}", WRONG_USE)
    return folds[name]
