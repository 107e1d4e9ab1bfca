"""Lines are cut into batches, and each batch gets a name that says where it is.

An import is known by its first line, and a batch by its import and its place there: the number of its first event. So
the same lines, imported again, meet the batches of the first time, and their ids are in the log's ledger: that is all
that a restart needs to know. How long a batch was, the ledger knows as well, so it does not matter how lines are cut
today. The fingerprint is of every line up to the batch's last, so that other lines in the same place are noticed.
No I/O.
"""

import hashlib
from decimal import MAX_PREC, Context, Decimal

import msgspec

from diptych.app.imports.lines import LineReader, Taken
from diptych.errors import DiptychError, ImportStopped, Malformed
from diptych.log import Batch, BatchEvent

BATCH_EVENTS = 1000
"""Events of a batch at most: whoever else appends waits for one batch, which is some milliseconds."""

BATCH_BYTES = 1024 * 1024
"""Bytes of lines after which a batch is full, however few they are."""


class Trail:
    """The digest of all lines so far, and their number. How their JSON is laid out does not matter to it."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256(b"import\0")
        self._import = ""
        self._count = 0

    def add(self, text: bytes) -> None:
        """The next line."""
        self._digest.update(_canonical(text) + b"\n")
        self._count += 1
        if self._count == 1:
            self._import = self._digest.hexdigest()[:32]

    def command_id(self) -> str:
        """The name of a batch whose first line was added last."""
        return f"import-{self._import}-{self._count}"

    def fingerprint(self) -> bytes:
        """What a batch is recognised by when its last line was added."""
        return self._digest.digest()[:16]


class Cut:
    """A batch that is being filled. `first` and `last` are the numbers of its lines."""

    def __init__(self, command_id: str, first: int) -> None:
        self.command_id = command_id
        self.first = self.last = first
        self._events: list[BatchEvent] = []
        self._bytes = 0
        self._counts: dict[str, int] = {}
        self._expected: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether the next line begins another batch."""
        return len(self._events) >= BATCH_EVENTS or self._bytes >= BATCH_BYTES

    def add(self, number: int, text: bytes, reader: LineReader) -> None:
        """Adds a line. Raises ImportStopped where it cannot be taken."""
        try:
            taken = reader.read(text, self.command_id)
            self._place(taken)
        except DiptychError as error:
            raise ImportStopped(number, number, str(error)) from error
        self._events.append(taken.event)
        self._bytes += len(text)
        self.last = number

    def batch(self, fingerprint: bytes) -> Batch:
        """What goes into the log."""
        return Batch(self.command_id, fingerprint, self._events, self._expected)

    def _place(self, taken: Taken) -> None:
        """Notes at which version a stream must be before, for its event to get the version that its line gives."""
        stream = taken.event.stream
        before = self._counts.get(stream, 0)
        self._counts[stream] = before + 1
        if taken.version is None:
            return
        base = taken.version - 1 - before
        if base < 0 or self._expected.setdefault(stream, base) != base:
            raise Malformed(f"Version {taken.version} of {stream} does not follow the one before", "$.version")


_EXACT = Context(prec=MAX_PREC)


def _number(text: str) -> Decimal:
    """A number with a point, as exact as it stands and without the zeros that say nothing."""
    return Decimal(text).normalize(_EXACT)


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode


def _canonical(text: bytes) -> bytes:
    """The line without what says nothing: spaces, escapes, the order of its keys. What is no JSON stays as it is."""
    try:
        return _encode(_decode(text))
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        return text
