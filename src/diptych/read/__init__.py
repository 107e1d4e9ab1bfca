"""The right panel: projections fold the log into views, and queries are answered from them, as fresh as asked.

No I/O: logs and read stores come in as protocols.
"""

from diptych.read.columns import Column, Kind, Scale
from diptych.read.filters import Filter, between, ge, gt, le, lt, one_of, prefix
from diptych.read.fold import Fold, FoldRules, Poison
from diptych.read.projection import Projection
from diptych.read.projector import ProjectionSettings, Projector
from diptych.read.queries import ASK_TIMEOUT, Answer, Lag, QueryHandler, QuerySide, Standing
from diptych.read.rebuild import Rebuild, Stopped
from diptych.read.shape import Key, ViewShape
from diptych.read.store import (
    Checkpoint,
    Failure,
    Generation,
    NeverFilled,
    Order,
    Selector,
    Snapshot,
    Superseded,
    ViewStore,
)
from diptych.read.views import Page, Rows, Selection, Views

__all__ = [
    "ASK_TIMEOUT",
    "Answer",
    "Checkpoint",
    "Column",
    "Failure",
    "Filter",
    "Fold",
    "FoldRules",
    "Generation",
    "Key",
    "Kind",
    "Lag",
    "NeverFilled",
    "Order",
    "Page",
    "Poison",
    "Projection",
    "ProjectionSettings",
    "Projector",
    "QueryHandler",
    "QuerySide",
    "Rebuild",
    "Rows",
    "Scale",
    "Selection",
    "Selector",
    "Snapshot",
    "Standing",
    "Stopped",
    "Superseded",
    "ViewShape",
    "ViewStore",
    "Views",
    "between",
    "ge",
    "gt",
    "le",
    "lt",
    "one_of",
    "prefix",
]
