"""Commands over HTTP: one goes in by POST and comes out as a receipt; what became of it is asked by GET."""

import time
from urllib.parse import quote

from diptych.app import App
from diptych.errors import DiptychError, NotFound, OutcomeUnknown
from diptych.http import grammar
from diptych.http.exchange import JSON, Request, Response, encode
from diptych.http.metrics import Metrics
from diptych.http.refusals import CommandInFlight
from diptych.http.settings import GatewaySettings
from diptych.write import Envelope, Receipt

NO_STORE = (b"cache-control", b"no-store")


class CommandAddress:
    """`/{context}/commands/{Command}`."""

    def __init__(self, context: str, name: str, settings: GatewaySettings, metrics: Metrics) -> None:
        self._name = name
        self._settings = settings
        self._status_path = f"/{quote(context, safe='')}/commands/"
        self._metrics = metrics
        self._figures = metrics.of_command(name)

    async def post(self, app: App, request: Request) -> Response:
        """Executes the command in the body. Raises what `App.execute` raises, and the gateway's own refusals."""
        envelope = read_envelope(app, request)
        body = await request.json(self._settings.max_body, app.deadlines, self._settings.body_timeout)
        began = time.perf_counter()
        status, code = 500, None
        try:
            receipt = await self._execute(app, body, envelope)
            status = 200
        except DiptychError as error:
            status = error.status
            code = error.code if status < 500 else None
            raise
        finally:
            self._figures.settled(status, time.perf_counter() - began)
            self._metrics.answered(code)
        return self._response(receipt, request.root)

    async def _execute(self, app: App, body: bytes, envelope: Envelope) -> Receipt:
        command_id = envelope.command_id or ""
        if app.in_flight(command_id):
            raise CommandInFlight(command_id)
        try:
            with app.deadlines.within(self._settings.command_timeout):
                return await app.receive(self._name, body, envelope)
        except TimeoutError:
            late = self._settings.command_timeout.total_seconds()
            raise OutcomeUnknown(command_id, f"no answer within {late:g} s") from None

    def _response(self, receipt: Receipt, root: str) -> Response:
        headers = [
            JSON,
            NO_STORE,
            (b"diptych-token", receipt.token.encode()),
            (b"etag", b'"%d"' % receipt.version),
            (b"location", f"{quote(root) if root else root}{self._status_path}{quoted(receipt.command_id)}".encode()),
        ]
        return Response(200, headers, encode(receipt))


class StatusAddress:
    """`/{context}/commands/{command_id}`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def get(self, app: App, request: Request) -> Response:
        """The command's status. Raises NotFound, Unavailable."""
        command_id = request.path.removeprefix(self._prefix)
        if not command_id:
            raise NotFound("A command's id belongs at the end of this address.")
        return Response(200, [JSON, NO_STORE], encode(await app.status(command_id)))


def read_envelope(app: App, request: Request) -> Envelope:
    """What the headers say about the command; a new id where they name none. Raises BadHeader."""
    headers = request.headers
    key = request.single(b"idempotency-key")
    match = request.single(b"if-match")
    correlation = request.single(b"x-correlation-id")
    trace = headers.get(b"traceparent")
    command_id = app.new_command_id() if key is None else grammar.idempotency_key(key)
    request.command_id = command_id
    return Envelope(
        command_id=command_id,
        correlation_id=None if correlation is None else grammar.correlation_id(correlation),
        traceparent=None if trace is None else grammar.traceparent(trace),
        expected_version=None if match is None else grammar.stream_version(match),
    )


def quoted(text: str) -> str:
    """Percent-encoded for an address; most ids have nothing to encode."""
    plain = text.isascii() and text.replace("-", "").isalnum()
    return text if plain else quote(text, safe="")
