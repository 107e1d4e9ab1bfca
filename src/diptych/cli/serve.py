"""`diptych serve`: a context behind HTTP, with its projections in a process of their own."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import msgspec
from cyclopts import Parameter

from diptych import BoundedContext
from diptych.cli.options import ConfigFile, Json, StoreUrl, Switch, Target
from diptych.cli.target import context_at
from diptych.cli.words import DONE, INTERRUPTED, WRONG_USE, Stop
from diptych.config import Configuration, load
from diptych.stores import Migrates, store_at, without_password

if TYPE_CHECKING:
    import socket

    from diptych.http.server import Stop as StopSignal
    from diptych.worker import Supervisor

log = logging.getLogger("diptych.serve")


class Serving(msgspec.Struct, frozen=True):
    """What a program wants to know of a server that it has started."""

    context: str
    url: str
    store: str
    role: str
    pid: int


def serve(  # noqa: PLR0913 - the options that this command has
    target: Target = None,
    *,
    store: StoreUrl = None,
    host: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
    port: Annotated[int | None, Parameter(metavar="N")] = None,
    role: Annotated[str | None, Parameter(metavar="ROLE")] = None,
    migrate: Annotated[bool, Switch] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> int:
    """Serve a context over HTTP, and keep its views up to date.

    Make a store beside you and serve on port 8000, then look at /docs there:

        diptych serve shop:shop

    Ctrl-C and SIGTERM let every request that is at work be answered.

    Parameters
    ----------
    store:
        The store's URL [DIPTYCH_STORE, diptych.yaml]. By default a file in the working folder, named after the
        context: sqlite:///shop.db.
    host:
        The address to listen at, by default 127.0.0.1. The server does not authenticate, so it must be the loopback's.
    port:
        The port to listen at, by default 8000; 0 takes any that is free.
    role:
        One side alone: command, query or projector; or all of them, as by default.
    migrate:
        Bring the store's tables to this version first, as `diptych store migrate` does; of several servers, one does.
    json:
        Say where it serves as one JSON object on stdout.
    """
    try:
        from diptych.http import configure_logging  # noqa: PLC0415 - `diptych --help` does without
    except ImportError as missing:
        raise Stop(str(missing), WRONG_USE) from None

    options = {"target": target, "store": store, "host": host, "port": port, "role": role}
    options["migrate"] = "true" if migrate else None
    configuration = load(config, os.environ, options)
    context = context_at(configuration.target or "")
    if configuration.store is None:
        configuration = msgspec.structs.replace(configuration, store=own_store(context))
    configure_logging(level=configuration.log_level.upper())
    return serve_at(context, configuration, lambda url: announce(context, configuration, url, json=json))


def own_store(context: BoundedContext) -> str:
    """A file in the working folder, named after the context."""
    return f"sqlite:///{quote(context.name)}.db"


def serve_at(context: BoundedContext, configuration: Configuration, serving: Callable[[str], None]) -> int:
    """Serves until it is stopped, and gives the exit code; `serving` is called with the URL once it answers.

    The configuration names a store, and the context as its target.

    Raises Stop, and what opening the store raises.
    """
    from diptych.http.server import CannotListen, listen, run  # noqa: PLC0415
    from diptych.worker import ChildFailed  # noqa: PLC0415

    try:
        listening = listen(configuration.host, configuration.port)
    except CannotListen as error:
        raise Stop(str(error), WRONG_USE) from None
    with listening:
        try:
            ended = run(lambda stop: _serve(context, configuration, listening, stop, serving))
        except ChildFailed as failed:  # it has said why
            return failed.code
    return DONE if ended else INTERRUPTED


async def _serve(
    context: BoundedContext,
    configuration: Configuration,
    listening: "socket.socket",
    stop: "StopSignal",
    serving: Callable[[str], None],
) -> None:
    from diptych.http import Gateway, Role  # noqa: PLC0415
    from diptych.http.server import serve as serve_on  # noqa: PLC0415

    role, store, bounds = Role(configuration.role), configuration.store or "", configuration.gateway
    place = store_at(store)
    shared = place.shared
    if configuration.migrate and isinstance(place, Migrates):
        for migration in await place.migrate():
            log.info("applied migration %s", migration)
    projectors = projectors_of(configuration) if shared and role.projects else None
    gateway = Gateway(
        context,
        store,
        settings=bounds,
        projectors=role.projects and not shared,
        projections=configuration.projections,
        lease=configuration.lease,
        snapshots=configuration.storage,
        role=role,
        obstacle=lambda: None if projectors is None else projectors.obstacle,
    )
    async with AsyncExitStack() as stack:
        if projectors is not None:
            stack.push_async_callback(projectors.stop)
            await projectors.start()
        await stack.enter_async_context(gateway.lifespan())
        serving(url_of(listening))
        await serve_on(gateway, listening, bounds, configuration.server, stop)
    log.info("stopped")


def projectors_of(configuration: Configuration) -> "Supervisor":
    """The projectors' process."""
    from diptych.cli.work import Work, projecting  # noqa: PLC0415

    work = Work(
        target=configuration.target or "",
        store=configuration.store or "",
        log_level=configuration.log_level,
        projections={**configuration.projections},
        lease=configuration.lease,
    )
    return projecting("the projectors' process", work)


def url_of(listening: "socket.socket") -> str:
    """Where the socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(context: BoundedContext, configuration: Configuration, url: str, *, json: bool) -> None:
    """Says where it serves: to a program, to a person, or to those who read the logs."""
    store = without_password(configuration.store or "")
    if json:
        serving = Serving(context.name, url, store, configuration.role, os.getpid())
        sys.stdout.write(msgspec.json.encode(serving).decode() + "\n")
        sys.stdout.flush()
    elif sys.stderr.isatty():
        sys.stderr.write(f"Serving {context.name!r} at {url} - to try it: {url}/docs\n")
        sys.stderr.write(f"Store {store}. Ctrl-C stops it.\n")
    else:
        log.info("serving %s at %s", context.name, url)
