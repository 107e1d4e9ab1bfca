"""What bounds the gateway: every request, in size, in time and in number. Nothing is read from outside here."""

from datetime import timedelta

import msgspec


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's bounds. Sizes are bytes.

    `max_header` counts the address and all header lines of a request. `wait` is how long a query waits for its views
    unless its `Prefer: wait` says otherwise, `max_wait` the most that it may say; `query_timeout` is the time to read
    them. A command that takes longer than `command_timeout` is answered with OutcomeUnknown. `max_lag` is how far a
    view may trail the log before the gateway calls itself not ready.
    """

    max_body: int = 1024 * 1024
    max_header: int = 16 * 1024
    max_concurrency: int = 1000
    body_timeout: timedelta = timedelta(seconds=10)
    command_timeout: timedelta = timedelta(seconds=30)
    query_timeout: timedelta = timedelta(seconds=10)
    wait: timedelta = timedelta(seconds=5)
    max_wait: timedelta = timedelta(seconds=30)
    max_lag: timedelta = timedelta(seconds=60)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of the server that the gateway runs in by itself.

    `header_timeout` is how long a client may take for the head of a request, `keep_alive` how long a connection may
    stand idle, `drain_timeout` how long requests may go on once the server is to stop.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_connections: int = 4000
    header_timeout: timedelta = timedelta(seconds=10)
    keep_alive: timedelta = timedelta(seconds=60)
    drain_timeout: timedelta = timedelta(seconds=30)
