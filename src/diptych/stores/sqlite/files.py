"""The kinds of files that a store on SQLite has for its log and its views."""

from datetime import timedelta

from diptych.stores.sql import load_script
from diptych.stores.sqlite.connection import DISPOSABLE, LOCK_TIMEOUT, FileKind

_HERE = "diptych.stores.sqlite"
_VIEWS = load_script(_HERE, "views_schema.sql")
_IN_STEP = [*_VIEWS, *load_script(_HERE, "in_step.sql")]

LOG_FILE = FileKind(
    application_id=0x4450544C,  # DPTL
    what="the log of a Diptych store",
    script=[*load_script(_HERE, "schema.sql"), *_IN_STEP],
    format=3,
    synchronous="FULL",
    timeout=timedelta(0),
    upgrades={2: load_script(_HERE, "format_2.sql"), 3: _IN_STEP},
)

IN_STEP_FILE = LOG_FILE._replace(timeout=LOCK_TIMEOUT, synchronous="NORMAL")
"""The log's file for those who look after the views that are kept in it, and append nothing.

What they write is on the disk with the next append, at the latest: what a power cut takes of it can be done again.
"""

VIEWS_FILE = FileKind(
    application_id=0x44505456,  # DPTV
    what="the views of a Diptych store",
    script=_VIEWS,
    format=3,
    synchronous="NORMAL",
    timeout=LOCK_TIMEOUT,
    damaged=DISPOSABLE,
)
