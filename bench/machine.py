"""Facts about the machine, without which no figure says anything."""

import os
import platform
import sqlite3
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

SYNCS = 200


def facts(folder: Path) -> dict[str, str]:
    """Processor, Python, SQLite, the peer's version, and the time of one fdatasync in the folder of the benchmarks."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "load": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "fdatasync": f"{_sync_microseconds(folder):.0f} µs",
        "eventsourcing": _version("eventsourcing"),
        "diptych": _version("diptych"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _sync_microseconds(folder: Path) -> float:
    """The median time of appending 4 KiB to a file and syncing it."""
    path = folder / "sync"
    block = bytes(4096)
    sync = getattr(os, "fdatasync", os.fsync)
    times: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(block)
            sync(file.fileno())
            times.append(time.perf_counter() - start)
    path.unlink()
    return median(times) * 1e6


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
