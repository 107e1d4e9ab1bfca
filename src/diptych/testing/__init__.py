"""For the tests of those who use Diptych, and of those who write a store for it.

`EventLogContract` and `ViewStoreContract` are pytest suites of what every store promises. They need pytest,
pytest-asyncio and Hypothesis, and are imported when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diptych.testing.given import MOMENT, given

if TYPE_CHECKING:
    from diptych.testing.event_log import EventLogContract
    from diptych.testing.view_store import ViewStoreContract
else:

    def __getattr__(name: str) -> Any:
        module = {
            "EventLogContract": "diptych.testing.event_log",
            "ViewStoreContract": "diptych.testing.view_store",
        }.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        pytest: Any = import_module("pytest")
        pytest.register_assert_rewrite(module)
        return getattr(import_module(module), name)


__all__ = ["MOMENT", "EventLogContract", "ViewStoreContract", "given"]
