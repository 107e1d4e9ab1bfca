"""Logs: one JSON object a line where a program reads them, plain lines on a terminal.

No payload, no header and no address is ever written: a line names the route, and the id of a command. In JSON an
exception shows its type and its frames, not its words, which may quote a payload.
"""

import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

import msgspec

access = logging.getLogger("diptych.access")

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Access(NamedTuple):
    """One request that was answered. `route` is its kind of address; `milliseconds` are those until its response."""

    method: str
    route: str
    status: int
    milliseconds: float
    command_id: str | None


def log_access(entry: Access) -> None:
    """Writes the request's line, if anyone reads such lines."""
    command = f" {entry.command_id}" if entry.command_id else ""
    access.info(
        "%s %s %d %.1f ms%s",
        entry.method,
        entry.route,
        entry.status,
        entry.milliseconds,
        command,
        extra={"facts": entry},
    )


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, Access):
            line["message"] = "request"
            line |= {name: value for name, value in facts._asdict().items() if value is not None}
        elif isinstance(facts, Mapping):
            line |= facts
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _without_words(record.exc_info[1])
        return _encode(line).decode()


class PlainLines(logging.Formatter):
    """Lines for people: time, level where it matters, message, and whole tracebacks."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        text = _printable(super().format(record))
        return text if record.levelno <= logging.INFO else text.replace(" ", f" {record.levelname}: ", 1)


def configure_logging(stream: TextIO | None = None, level: int | str = logging.INFO) -> None:
    """Sends all logs to the stream, by default stderr: as plain lines if it is a terminal, as JSON lines if not."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(PlainLines() if target.isatty() else JsonLines())
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _without_words(error: BaseException) -> list[str]:
    """The chain of exceptions, first cause first: each its type, then its frames from the outermost on."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    lines: list[str] = []
    for one in reversed(chain):
        lines.append(f"{type(one).__module__}.{type(one).__qualname__}")
        lines += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(one.__traceback__)
        ]
    return lines


def _printable(text: str) -> str:
    """Without control characters, which could move a terminal's cursor; line ends apart."""
    return "".join(char if char == "\n" or char.isprintable() else f"\\x{ord(char):02x}" for char in text)
