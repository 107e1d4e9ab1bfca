"""`python -m bench.http_server MODULE:NAME PORT`: serves an ASGI app by the server that `diptych serve` runs.

So the gateway and the hello have the same server, with the same bounds and headers of its own.
"""

import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from importlib import import_module
from typing import Any

from starlette.applications import Starlette

from diptych.http import Gateway, GatewaySettings, ServerSettings
from diptych.http.server import Stop, listen, run, serve


def main() -> None:
    """Serves until it is told to stop."""
    module, _, name = sys.argv[1].partition(":")
    app = getattr(import_module(module), name)
    with listen("127.0.0.1", int(sys.argv[2])) as listening:

        async def serving(stop: Stop) -> None:
            async with lifespan_of(app):
                await serve(app, listening, GatewaySettings(), ServerSettings(), stop)

        run(serving)


def lifespan_of(app: Any) -> AbstractAsyncContextManager[Any]:
    """What holds the app open: a gateway's own, Starlette's, or nothing for the hello."""
    match app:
        case Gateway():
            return app.lifespan()
        case Starlette():
            return app.router.lifespan_context(app)
        case _:
            return nullcontext()


if __name__ == "__main__":
    main()
