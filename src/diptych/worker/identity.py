"""What a worker is called, so that others on the same machine can tell that its process has ended."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path


def new_identity() -> str:
    """A worker's id that none ever had: where it runs, its process, and a random part."""
    return f"{_place()}:{os.getpid()}:{secrets.token_hex(6)}"


def gone(identity: str) -> bool:
    """Whether a worker's process ran here, and has ended. False where that cannot be known."""
    place, _, rest = identity.rpartition(":")[0].rpartition(":")
    if place != _place() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        return False
    return False


def _place() -> str:
    """The machine since it was started, and its view of processes: numbers of processes mean something only there."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8])
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "/".join(parts)
