"""A worker that dies at one instant: `python -m tests.faults.crashing URL CODE POINT WHEN NTH`.

It dies before or after the nth call of a function of a store, which is named with its module, and says so.
"""

import asyncio
import inspect
import logging
import os
import pkgutil
import sys
from typing import Any

from tests.faults.chaos import project


def crash_at(point: str, when: str, nth: int) -> None:
    holder, _, name = point.rpartition(".")
    owner = pkgutil.resolve_name(holder)
    function = getattr(owner, name)
    calls = 0

    def pass_by(moment: str) -> None:
        nonlocal calls
        calls += moment == when
        if calls == nth:
            os.write(1, b"crashed")
            os._exit(9)

    async def waiting(*args: Any) -> Any:
        pass_by("before")
        result = await function(*args)
        pass_by("after")
        return result

    def plain(*args: Any) -> Any:
        pass_by("before")
        result = function(*args)
        pass_by("after")
        return result

    setattr(owner, name, waiting if inspect.iscoroutinefunction(function) else plain)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    _, url, code, point, when, nth = sys.argv
    crash_at(point, when, int(nth))
    asyncio.run(project(url, code))
