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
    _MODULES = {
        "EventLogContract": "diptych.testing.event_log",
        "SnapshotStoreContract": "diptych.testing.snapshot_store",
        "ViewStoreContract": "diptych.testing.view_store",
    }

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        pytest: Any = import_module("pytest")
        pytest.register_assert_rewrite(*_MODULES.values())  # all of them, since they import each other
        return getattr(import_module(module), name)


__all__ = ["MOMENT", "EventLogContract", "SnapshotStoreContract", "ViewStoreContract", "given"]
