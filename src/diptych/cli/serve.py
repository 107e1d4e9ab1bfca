"""`diptych serve`: a context behind HTTP, with its projections in a process of their own."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import quote

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from diptych import BoundedContext
from diptych.cli.options import Json, StoreUrl, Target
from diptych.cli.target import context_at
from diptych.cli.words import DONE, INTERRUPTED, WRONG_USE, Stop
from diptych.stores import store_at

if TYPE_CHECKING:
    import socket

    from diptych.http import Role, ServerSettings
    from diptych.http.server import Stop as StopSignal

log = logging.getLogger("diptych.serve")


class Place(NamedTuple):
    """What is served, and where."""

    target: str
    context: BoundedContext
    store: str
    role: "Role"


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
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    role: str = "all",
    json: Json = False,
) -> int:
    """Serve a context over HTTP, and keep its views up to date.

    Make a store beside you and serve on port 8000, then look at /docs there:

        diptych serve shop:shop

    Ctrl-C and SIGTERM let every request that is at work be answered.

    Parameters
    ----------
    store:
        The store's URL. By default a file in the working folder, named after the context: sqlite:///shop.db.
    host:
        The address to listen at. The server does not authenticate, so it must be the loopback's.
    port:
        The port to listen at; 0 takes any that is free.
    role:
        One side alone: command, query or projector; or all of them.
    json:
        Say where it serves as one JSON object on stdout.
    """
    from diptych.http import Role, ServerSettings, configure_logging  # noqa: PLC0415 - `diptych --help` does without

    context = context_at(target)
    assert target is not None  # noqa: S101 - there is a context
    if role not in list(Role):
        raise Stop(f"there is no role {role!r}; say {', '.join(Role)}", WRONG_USE)
    place = Place(target, context, store or own_store(context), Role(role))
    configure_logging()
    return serve_at(place, ServerSettings(host=host, port=port), lambda url: announce(place, url, json=json))


def own_store(context: BoundedContext) -> str:
    """A file in the working folder, named after the context."""
    return f"sqlite:///{quote(context.name)}.db"


def serve_at(place: Place, settings: "ServerSettings", serving: Callable[[str], None]) -> int:
    """Serves until it is stopped, and gives the exit code; `serving` is called with the URL once it answers.

    Raises Stop, and what opening the store raises.
    """
    from diptych.http.server import CannotListen, listen, run  # noqa: PLC0415
    from diptych.worker import ChildFailed  # noqa: PLC0415

    try:
        listening = listen(settings.host, settings.port)
    except CannotListen as error:
        raise Stop(str(error), WRONG_USE) from None
    with listening:
        try:
            ended = run(lambda stop: _serve(place, settings, listening, stop, serving))
        except ChildFailed as failed:  # it has said why
            return failed.code
    return DONE if ended else INTERRUPTED


async def _serve(
    place: Place,
    settings: "ServerSettings",
    listening: "socket.socket",
    stop: "StopSignal",
    serving: Callable[[str], None],
) -> None:
    from diptych.http import Gateway, GatewaySettings  # noqa: PLC0415
    from diptych.http.server import serve as serve_on  # noqa: PLC0415
    from diptych.worker import Supervisor  # noqa: PLC0415

    shared = store_at(place.store).shared
    projectors = Supervisor("the projectors' process", projecting(place)) if shared and place.role.projects else None
    bounds = GatewaySettings()
    gateway = Gateway(
        place.context,
        place.store,
        settings=bounds,
        projectors=place.role.projects and not shared,
        role=place.role,
        obstacle=lambda: None if projectors is None else projectors.obstacle,
    )
    async with AsyncExitStack() as stack:
        if projectors is not None:
            stack.push_async_callback(projectors.stop)
            await projectors.start()
        await stack.enter_async_context(gateway.lifespan())
        serving(url_of(listening))
        await serve_on(gateway, listening, bounds, settings, stop)
    log.info("stopped")


def projecting(place: Place) -> list[str]:
    """The command line of the projectors' process."""
    return [sys.executable, "-m", "diptych.cli.projecting", place.target, place.store]


def url_of(listening: "socket.socket") -> str:
    """Where the socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(place: Place, url: str, *, json: bool) -> None:
    """Says where it serves: to a program, to a person, or to those who read the logs."""
    if json:
        serving = Serving(place.context.name, url, place.store, place.role, os.getpid())
        sys.stdout.write(msgspec.json.encode(serving).decode() + "\n")
        sys.stdout.flush()
    elif sys.stderr.isatty():
        sys.stderr.write(f"Serving {place.context.name!r} at {url} - to try it: {url}/docs\n")
        sys.stderr.write(f"Store {place.store}. Ctrl-C stops it.\n")
    else:
        log.info("serving %s at %s", place.context.name, url)
