"""What the gateway itself says no to, before a context is asked. The rest of the tree is `diptych.errors`."""

from collections.abc import Iterable

from diptych.errors import Conflict, DiptychError, Malformed, TooLarge, Unavailable


class BadHeader(Malformed):
    """A header cannot be read. `header` is its name."""

    def __init__(self, header: str, expected: str) -> None:
        super().__init__(f"Header {header}: expected {expected}.")
        self.header = header


class MethodNotAllowed(DiptychError):
    """The address is right and the method is not. `allow` names those that are."""

    code = "method-not-allowed"
    status = 405

    def __init__(self, method: str, allow: Iterable[str]) -> None:
        self.allow = ", ".join(allow)
        super().__init__(f"This address takes {self.allow}.")
        self.method = method


class BodyTimeout(DiptychError):
    """The body did not come in time."""

    code = "body-timeout"
    status = 408


class CommandInFlight(Conflict):
    """A command of the same id is at work here at this moment."""

    code = "command-in-flight"

    def __init__(self, command_id: str) -> None:
        DiptychError.__init__(self, f"Command {command_id!r} is in flight; ask again when it is done.")
        self.command_id = command_id


class AddressTooLong(TooLarge):
    """The address is longer than the bound on headers."""

    code = "address-too-long"
    status = 414


class UnsupportedMediaType(DiptychError):
    """The body is not what this address reads."""

    code = "unsupported-media-type"
    status = 415


class HeadersTooLarge(TooLarge):
    """The headers are larger than their bound."""

    code = "headers-too-large"
    status = 431


class InternalError(DiptychError):
    """Code of the context or of the gateway failed. Only the log says how."""

    code = "internal-error"
    status = 500

    def __init__(self) -> None:
        super().__init__("The server failed at this request; its log says more.")


class Overloaded(Unavailable):
    """More requests are at work than the bound allows."""

    code = "overloaded"


class NotOpen(Unavailable):
    """The gateway is starting or stopping."""

    code = "not-open"


class Disconnected(Exception):
    """The client went away before its request was whole. There is nobody to answer."""
