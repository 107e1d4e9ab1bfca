"""The right panel: projections fold the log into views, and queries are answered from them, as fresh as asked.

No I/O: logs and read stores come in as protocols.
"""

from diptych.read.audit import Audit, Difference
from diptych.read.checkpoint import (
    Checkpoint,
    Failure,
    Generation,
    NeverFilled,
    Pause,
    RowsGone,
    State,
    Superseded,
    UnreadableRow,
    numbered,
)
from diptych.read.columns import Column, Kind, Scale
from diptych.read.division import Division
from diptych.read.filters import Filter, between, ge, gt, le, lt, one_of, prefix
from diptych.read.fold import Fold, FoldRules
from diptych.read.folding import AnyFold
from diptych.read.in_step import NOBODY, Following, InStep, Registered
from diptych.read.joining import is_run
from diptych.read.leases import LEASE, Watch
from diptych.read.letters import NOTHING_WITHHELD, Cause, Held, Hold, Letter, Skip, Withheld
from diptych.read.now import utc_now
from diptych.read.parking import HandlerFailed, Overlong, Parking
from diptych.read.places import ReadableViews, TwoPlaces
from diptych.read.projection import Mode, Projection
from diptych.read.projector import UNTUNED, ProjectionSettings, Projector
from diptych.read.queries import ASK_TIMEOUT, Answer, QueryHandler, QuerySide
from diptych.read.rebuild import Rebuild, Stopped
from diptych.read.repair import Repair, Retried
from diptych.read.shape import Key, ViewShape
from diptych.read.share import segment_of
from diptych.read.standing import Lag, Standing
from diptych.read.store import Changes, Order, Selector, Snapshot, ViewStore
from diptych.read.table_fold import HANDLER_TIMEOUT, Handlers, TableChanges, TableFold, TableRules
from diptych.read.table_projector import TableProjector
from diptych.read.table_shape import TableShape
from diptych.read.tables import Statement, TableProjection, Tables
from diptych.read.views import Page, Rows, Selection, Views
from diptych.read.worker import Job, ProjectionWorker
from diptych.read.workers import Worker

__all__ = [
    "ASK_TIMEOUT",
    "HANDLER_TIMEOUT",
    "LEASE",
    "NOBODY",
    "NOTHING_WITHHELD",
    "UNTUNED",
    "Answer",
    "AnyFold",
    "Audit",
    "Cause",
    "Changes",
    "Checkpoint",
    "Column",
    "Difference",
    "Division",
    "Failure",
    "Filter",
    "Fold",
    "FoldRules",
    "Following",
    "Generation",
    "HandlerFailed",
    "Handlers",
    "Held",
    "Hold",
    "InStep",
    "Job",
    "Key",
    "Kind",
    "Lag",
    "Letter",
    "Mode",
    "NeverFilled",
    "Order",
    "Overlong",
    "Page",
    "Parking",
    "Pause",
    "Projection",
    "ProjectionSettings",
    "ProjectionWorker",
    "Projector",
    "QueryHandler",
    "QuerySide",
    "ReadableViews",
    "Rebuild",
    "Registered",
    "Repair",
    "Retried",
    "Rows",
    "RowsGone",
    "Scale",
    "Selection",
    "Selector",
    "Skip",
    "Snapshot",
    "Standing",
    "State",
    "Statement",
    "Stopped",
    "Superseded",
    "TableChanges",
    "TableFold",
    "TableProjection",
    "TableProjector",
    "TableRules",
    "TableShape",
    "Tables",
    "TwoPlaces",
    "UnreadableRow",
    "ViewShape",
    "ViewStore",
    "Views",
    "Watch",
    "Withheld",
    "Worker",
    "between",
    "ge",
    "gt",
    "is_run",
    "le",
    "lt",
    "numbered",
    "one_of",
    "prefix",
    "segment_of",
    "utc_now",
]
