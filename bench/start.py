"""How long Diptych takes to start: `import diptych`, and `diptych --help`, each in a fresh process.

Seconds from spawning the process to its end, beside `python -c pass` of the same run, which the figures include.
Target: docs/performance.md.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.harness import DIPTYCH, Bench, Contender, Goal, Settings

RUNS = 7
BARE = "python -c pass"


def prepare(settings: Settings) -> tuple[Sequence[Contender], Sequence[Goal]]:
    """Every measurement is one process of each kind; with three rounds and more there are RUNS of them or more."""
    runs = -(-RUNS // settings.rounds)

    def ours(_: Path) -> dict[str, float]:
        return {
            "import": _seconds(["-c", "import diptych"], runs),
            "help": _seconds(["-m", "diptych", "--help"], runs),
        }

    def bare(_: Path) -> dict[str, float]:
        seconds = _seconds(["-c", "pass"], runs)
        return {"import": seconds, "help": seconds}

    return (
        [Contender(DIPTYCH, ours), Contender(BARE, bare)],
        [
            Goal("import diptych", "s", "import", beside=BARE, reach=0.15, at_most=True),
            Goal("diptych --help", "s", "help", beside=BARE, reach=0.4, at_most=True),
        ],
    )


def _seconds(arguments: list[str], runs: int) -> float:
    """The median time of a process of this Python."""
    times: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own Python
        times.append(time.perf_counter() - start)
    return sorted(times)[runs // 2]


BENCHES = (Bench("start", "a fresh process", prepare),)
