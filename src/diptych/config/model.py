"""Every setting there is: its field, its key in `diptych.yaml`, how it is written, its default. Nothing is read here.

A key stands here only if something changes with it.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec

from diptych.config.forms import Choice, Duration, Flag, Form, Size, Text, Url, Whole
from diptych.read import LEASE, ProjectionSettings

if TYPE_CHECKING:
    from diptych.http.settings import GatewaySettings, ServerSettings

KeyPath = tuple[str, ...]
"""The keys that lead to a setting, from the top of the file."""

FILE = "diptych.yaml"
ANY = "NAME"
"""Stands in a path for a name that the user's code gives: a projection's."""

SOME_TIME = Duration(timedelta(milliseconds=1))
SECONDS = Duration(timedelta(seconds=1))
NO_OR_SOME_TIME = Duration(timedelta())


class Setting(NamedTuple):
    """One setting: the path of its key, how its value is written, and what it is about."""

    path: KeyPath
    form: Form
    about: str

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable. A projection's name stands in it as it is."""
        return "_".join(["DIPTYCH", *(name if name == ANY else name.upper() for name in self.path)])


class Origin(msgspec.Struct, frozen=True):
    """Where a value comes from; `name` is an option, a variable, or a file and its line."""

    kind: Literal["default", "file", "environment", "option"]
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.kind


class Shown(msgspec.Struct, frozen=True):
    """A setting as it is shown: its value is written without secrets, and is None where there is none."""

    key: str
    value: str | None
    origin: Origin


def _at(key: str, form: Form, about: str) -> Setting:
    return Setting(tuple(key.split(".")), form, about)


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What holds once the command line, the environment, the file and the defaults are laid over each other.

    `projections` has what was said of projections, by the names of their views. `origins` has the path of every value
    that is no default.
    """

    target: Annotated[
        str | None, _at("target", Text("a bounded context as module:name, such as shop:shop"), "the bounded context")
    ] = None
    store: Annotated[
        str | None, _at("store", Url("a store's URL, such as sqlite:///shop.db"), "the store of its log and its views")
    ] = None
    host: Annotated[str, _at("server.host", Text("a host's name or address"), "where the gateway listens")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _at("server.port", Whole(0, 65535), "the port; 0 takes a free one")] = 8000
    role: Annotated[
        str,
        _at("server.role", Choice(("all", "command", "query", "projector")), "the sides that the process runs"),
    ] = "all"
    migrate: Annotated[bool, _at("server.migrate", Flag(), "whether the store is migrated first, if it has to be")] = (
        False
    )
    log_level: Annotated[
        str,
        _at("server.log_level", Choice(("debug", "info", "warning", "error")), "the least that is logged"),
    ] = "info"
    max_concurrency: Annotated[
        int, _at("server.max_concurrency", Whole(1, 1_000_000), "requests at a time; one more is answered 503")
    ] = 1000
    max_connections: Annotated[
        int, _at("server.max_connections", Whole(1, 1_000_000), "connections at a time; one more is closed")
    ] = 4000
    max_header: Annotated[int, _at("server.max_header", Size(1024), "address and headers of a request")] = 16 * 1024
    header_timeout: Annotated[
        timedelta, _at("server.header_timeout", SOME_TIME, "the time that a client has to send the head of a request")
    ] = timedelta(seconds=10)
    body_timeout: Annotated[
        timedelta, _at("server.body_timeout", SOME_TIME, "the time that a client has to send a body")
    ] = timedelta(seconds=10)
    keep_alive: Annotated[
        timedelta, _at("server.keep_alive", SECONDS, "the time that a connection may stand idle, in whole seconds")
    ] = timedelta(seconds=60)
    drain_timeout: Annotated[
        timedelta, _at("server.drain_timeout", SECONDS, "the time that requests at work have once it is to stop")
    ] = timedelta(seconds=30)
    max_body: Annotated[int, _at("cqrs.command_side.validation.max_body", Size(1), "the body of a request")] = (
        1024 * 1024
    )
    command_timeout: Annotated[
        timedelta,
        _at("cqrs.command_side.validation.command_timeout", SOME_TIME, "the time until a command's outcome is unknown"),
    ] = timedelta(seconds=30)
    storage: Annotated[
        str | None,
        _at(
            "cqrs.command_side.snapshot.storage",
            Url("a URL such as file:///var/lib/shop or s3://bucket/shop"),
            "where snapshots of streams are kept, if not in the store",
        ),
    ] = None
    wait: Annotated[
        timedelta,
        _at("cqrs.query_side.consistency.wait", NO_OR_SOME_TIME, "how long a query waits for its token by itself"),
    ] = timedelta(seconds=5)
    max_wait: Annotated[
        timedelta,
        _at("cqrs.query_side.consistency.max_wait", NO_OR_SOME_TIME, "the most that `Prefer: wait` may ask for"),
    ] = timedelta(seconds=30)
    query_timeout: Annotated[
        timedelta, _at("cqrs.query_side.consistency.query_timeout", SOME_TIME, "the time to read a query's views")
    ] = timedelta(seconds=10)
    lease: Annotated[
        timedelta,
        _at("cqrs.query_side.lease", SECONDS, "how long a worker of projections is silent before others take its work"),
    ] = LEASE
    max_lag: Annotated[
        timedelta, _at("cqrs.monitoring.max_lag", SOME_TIME, "the lag of a view from which `/readyz` says no")
    ] = timedelta(seconds=60)
    projections: Mapping[str, ProjectionSettings] = {}
    origins: Mapping[KeyPath, Origin] = {}

    @property
    def gateway(self) -> "GatewaySettings":
        """The gateway's bounds. It needs the extra `http`."""
        from diptych.http.settings import GatewaySettings  # noqa: PLC0415 - most commands do without the extra

        return GatewaySettings(**{name: getattr(self, name) for name in GatewaySettings.__struct_fields__})

    @property
    def server(self) -> "ServerSettings":
        """The bounds of the server. It needs the extra `http`."""
        from diptych.http.settings import ServerSettings  # noqa: PLC0415 - as above

        return ServerSettings(**{name: getattr(self, name) for name in ServerSettings.__struct_fields__})

    def shown(self) -> Iterator[Shown]:
        """Every setting in the order of the reference, those of projections last."""
        for field, setting in SETTINGS.items():
            yield self._shown(setting, getattr(self, field))
        for name, settings in self.projections.items():
            for field, setting in PROJECTION.items():
                path = (*setting.path[:-2], name, field)
                yield self._shown(setting._replace(path=path), getattr(settings, field))

    def _shown(self, setting: Setting, value: Any) -> Shown:
        written = None if value is None else setting.form.write(value)
        return Shown(setting.key, written, self.origins.get(setting.path, Origin("default")))


SETTINGS: dict[str, Setting] = {
    field.name: found
    for field in msgspec.structs.fields(Configuration)
    for found in getattr(field.type, "__metadata__", ())
    if isinstance(found, Setting)
}
"""The settings by the fields of Configuration."""

PROJECTION: dict[str, Setting] = {
    "batch": _at(
        f"cqrs.query_side.projections.{ANY}.batch", Whole(1, 100_000), "the most events applied in one transaction"
    ),
    "segments": _at(
        f"cqrs.query_side.projections.{ANY}.segments",
        Whole(1, 256),
        "the shares that workers divide a projection into when it is begun",
    ),
    "max_parked": _at(
        f"cqrs.query_side.projections.{ANY}.max_parked",
        Whole(0, 1_000_000),
        "the most keys that dead letters hold back in a segment before the projection pauses itself",
    ),
}
"""The settings of one projection, by the fields of ProjectionSettings."""
