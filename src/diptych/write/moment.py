"""The moment of a decision: what a decide may know besides state and command, and nothing that a retry would change."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Moment:
    """`now` is aware UTC; `actor` is who sent the command, if known; `command_id` is the same when it is sent again."""

    now: datetime
    command_id: str
    actor: str | None = None

    def id(self, label: str = "") -> str:
        """A new id, derived from the command's: the same for the same label whenever the command is decided again."""
        digest = hashlib.sha256(f"{self.command_id}\0{label}".encode()).digest()
        value = int.from_bytes(digest[:16], "big")
        value = value & ~(0xF << 76) | 0x8 << 76  # version 8, of RFC 9562: made by one's own rule
        value = value & ~(0x3 << 62) | 0x2 << 62
        return str(UUID(int=value))
