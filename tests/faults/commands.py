"""The command line as processes: what one comes to, and one that is at work meanwhile."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.tools import ROOT, end

SHOP = "tests.app.shop:shop"
SLOW = "tests.faults.slow:shop"
PATIENCE = 60


class Ran(NamedTuple):
    code: int | None
    out: str
    err: str


async def command(url: str, *words: str, target: str = SHOP, folder: Path = ROOT, stderr: int | None = PIPE) -> Process:
    """A command that has begun. Modules are found in the folder, and in the project's."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), str(folder)])
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "diptych", *words, "--target", target, "--store", url),
        stdout=PIPE,
        stderr=stderr,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
    )


async def over(process: Process) -> Ran:
    """What a command came to."""
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    return Ran(process.returncode, out.decode(), (err or b"").decode())


async def ran(url: str, *words: str, **more: Any) -> Ran:
    """A command from its beginning to its end."""
    return await over(await command(url, *words, **more))


async def done(url: str, *words: str, **more: Any) -> Any:
    """What a command says as JSON, which succeeds."""
    came_to = await ran(url, *words, "--json", **more)
    assert came_to.code == 0, came_to.err
    return json.loads(came_to.out)


async def rebuilding(url: str, *words: str, target: str = SHOP) -> Process:
    """A rebuild that has just begun to fill its generation."""
    process = await command(url, "projection", "rebuild", "OrderSummary", *words, target=target)
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
    assert line.startswith(b"Generation"), line + await process.stderr.read()
    return process


async def rebuilt(url: str, *words: str) -> dict[str, Any]:
    """A whole rebuild."""
    found: dict[str, Any] = await done(url, "projection", "rebuild", "OrderSummary", *words)
    return found


@asynccontextmanager
async def serving(url: str, *words: str, **more: Any) -> AsyncIterator[str]:
    """A server, at the URL that it gives. What it logs goes where the tests' own output goes."""
    process = await command(url, "serve", "--port", "0", "--json", *words, stderr=None, **more)
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert line, "the server has ended"
        yield json.loads(line)["url"]
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        await end(process)
