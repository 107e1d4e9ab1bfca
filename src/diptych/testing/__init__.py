"""For the tests of those who use Diptych, and of those who write a store for it.

`EventLogContract`, `SnapshotStoreContract` and `ViewStoreContract` are pytest suites of what every store promises. They
need pytest, pytest-asyncio and Hypothesis, and are imported when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diptych.testing.given import MOMENT, given

if TYPE_CHECKING:
    from diptych.testing.event_log import EventLogContract
    from diptych.testing.snapshot_store import SnapshotStoreContract
    from diptych.testing.view_store import ViewStoreContract
else:
    _SUITES = {
        "EventLogContract": ["event_log"],
        "SnapshotStoreContract": ["snapshot_store"],
        "ViewStoreContract": [
            "view_store",
            "view_words",
            "view_generations",
            "view_in_step",
            "view_in_step_words",
            "view_pauses",
            "view_segments",
            "view_starts",
            "view_leases",
            "view_letters",
        ],
    }

    def __getattr__(name: str) -> Any:
        if name not in _SUITES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        modules = [f"{__name__}.{module}" for module in _SUITES[name]]
        pytest: Any = import_module("pytest")
        pytest.register_assert_rewrite(*modules)
        return getattr(import_module(modules[0]), name)


__all__ = ["MOMENT", "EventLogContract", "SnapshotStoreContract", "ViewStoreContract", "given"]
