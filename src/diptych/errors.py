"""Every error a user of Diptych can meet, in one tree.

    DiptychError
    ├── Malformed            400  the message cannot be read as its type
    ├── Forbidden            403  the principal may not do this
    ├── NotFound             404  nothing goes by this name
    ├── Conflict             409  what the append was conditioned on has changed
    ├── PreconditionFailed   412  the caller's expected version is not the stream's
    ├── TooLarge             413  more than a bound allows
    ├── CommandIdReused      422  the command id was accepted before, with another body
    ├── Rejected             422  a business rule said no
    ├── ImportStopped        422  a line of an import that cannot be taken
    ├── UnreadableEvent      500  a stored event this context cannot decode
    ├── ProjectionFailed     500  a view that is kept in step with the log cannot follow
    ├── Unavailable          503  a store cannot be reached, or will take no more
    │   └── NotAStore        503  what stands at the address is not a Diptych store
    ├── OutcomeUnknown       503  ask again with the same command id
    ├── NotCaughtUp          503  a view has not reached the token in time
    ├── TimedOut             504  the answer took too long
    └── ContextError         –    a bounded context that does not build

Each carries a stable `code`, the HTTP `status` that a gateway gives it, and its facts as fields. What is raised is for
the user: what went wrong, where, and what to do.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar


def _again(kind: type[BaseException], arguments: tuple[Any, ...], fields: dict[str, Any]) -> BaseException:
    """An unpickled error: its class may take other arguments than it keeps."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(fields)
    return error


class DiptychError(Exception):
    """The root of the tree. `code` is stable across releases; `status` is the HTTP status a gateway answers with."""

    code: str = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __reduce__(self) -> Any:
        return _again, (type(self), self.args, self.__dict__)


class Malformed(DiptychError):
    """The message cannot be read as its type. `path` leads to the place, such as `$.lines[0].price`."""

    code = "malformed"
    status = 400

    def __init__(self, detail: str, path: str = "$") -> None:
        super().__init__(detail)
        self.path = path

    def __str__(self) -> str:
        return f"{self.detail} - at `{self.path}`" if self.path != "$" else self.detail


class Forbidden(DiptychError):
    """The principal may not do this."""

    code = "forbidden"
    status = 403


class NotFound(DiptychError):
    """Nothing goes by this name: an unknown command, query, view, field or stream."""

    code = "not-found"
    status = 404


class Conflict(DiptychError):
    """What the append was conditioned on has changed since. `expected` and `found` say it in words."""

    code = "conflict"
    status = 409

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"Expected {expected}, found {found}.")
        self.expected = expected
        self.found = found


class PreconditionFailed(DiptychError):
    """The version that the caller expected is not the stream's."""

    code = "precondition-failed"
    status = 412

    def __init__(self, stream: str, expected: int, found: int) -> None:
        super().__init__(f"Stream {stream!r} is at version {found}, not at the expected {expected}.")
        self.stream = stream
        self.expected = expected
        self.found = found


class TooLarge(DiptychError):
    """More than a bound allows: a message, a page, an append."""

    code = "too-large"
    status = 413


class CommandIdReused(DiptychError):
    """The command id was accepted before, for a command with another body."""

    code = "command-id-reused"
    status = 422

    def __init__(self, command_id: str) -> None:
        super().__init__(f"Command id {command_id!r} was accepted before with another body; use a new id.")
        self.command_id = command_id


class Rejected(DiptychError):
    """The command was understood and permitted, and a business rule said no. A decide raises it, with a code."""

    status = 422

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail != self.code else self.code


class ImportStopped(DiptychError):
    """Lines `first` to `last` of an import cannot be taken, and `reason` says why. Those before `first` may be kept.

    What is kept stands in the import's own figures; the same lines, mended, go on after it.
    """

    code = "import-stopped"
    status = 422

    def __init__(self, first: int, last: int, reason: str) -> None:
        where = f"Line {first:,}" if first == last else f"Lines {first:,} to {last:,}"
        super().__init__(f"{where}: {reason}")
        self.first = first
        self.last = last
        self.reason = reason


class UnreadableEvent(DiptychError):
    """A stored event that this context cannot decode. It stops only what needs it."""

    code = "unreadable-event"

    def __init__(self, position: int, stream: str, type: str, reason: str) -> None:
        super().__init__(f"Event {position} ({type} in stream {stream!r}) cannot be read: {reason}")
        self.position = position
        self.stream = stream
        self.type = type
        self.reason = reason


class ProjectionFailed(DiptychError):
    """A view that is kept in step with the log cannot follow what was to be appended, so nothing was kept."""

    code = "projection-failed"

    def __init__(self, view: str, event: str, reason: str) -> None:
        super().__init__(f"Nothing was kept: view {view}, kept in step with the log, cannot take {event}: {reason}")
        self.view = view
        self.event = event
        self.reason = reason


class Unavailable(DiptychError):
    """A store cannot be reached, is full, or will take no more for now. Nothing was kept."""

    code = "unavailable"
    status = 503


class NotAStore(Unavailable):
    """What stands at the address is not a Diptych store, or one of another format, or another context's."""

    code = "not-a-store"


class OutcomeUnknown(DiptychError):
    """The store failed in the moment of the commit. Ask again with the same command id."""

    code = "outcome-unknown"
    status = 503

    def __init__(self, command_id: str, detail: str) -> None:
        super().__init__(
            f"Whether command {command_id!r} was kept is not known ({detail}); send it again with the same id."
        )
        self.command_id = command_id


class NotCaughtUp(DiptychError):
    """A view has not reached the token in time. `position` is where it stands, `wanted` the token's.

    `held` names the key that a dead letter holds back, where that is the reason.
    """

    code = "not-caught-up"
    status = 503

    def __init__(self, view: str, position: int, wanted: int, reason: str, held: str | None = None) -> None:
        super().__init__(f"View {view} stands at position {position} and not yet at {wanted}: {reason}")
        self.held = held
        self.view = view
        self.position = position
        self.wanted = wanted
        self.reason = reason


class TimedOut(DiptychError):
    """The answer took longer than allowed."""

    code = "timed-out"
    status = 504

    def __init__(self, what: str, after: timedelta) -> None:
        super().__init__(f"{what} took longer than {after.total_seconds():g} s.")
        self.after = after


class ContextError(DiptychError):
    """A bounded context that does not build. `problems` lists everything that is wrong with it, each with its place."""

    code = "context"

    def __init__(self, context: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"Bounded context {context!r} does not build:\n" + "\n".join(f"  - {line}" for line in problems)
        )
        self.context = context
        self.problems = tuple(problems)
