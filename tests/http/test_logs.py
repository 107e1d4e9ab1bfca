"""Logs: what a line says, and what it never says."""

import io
import json
import logging

from diptych.http import Gateway, configure_logging
from tests.app.shop import shop
from tests.http.asking import PLACE, order_body, placed
from tests.http.conftest import client_of
from tests.http.contexts import odd


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def explode() -> None:
    async with client_of(Gateway(odd, "memory://")) as client:
        body = {"thing_id": "01890a5d-ac96-774b-bcce-b302099a8057", "secret": "secret-of-body"}
        headers = {"Authorization": "Bearer secret-of-header", "Idempotency-Key": "k"}
        await client.post("/odd ones/commands/Explode?x=secret-of-query", json=body, headers=headers)
        await client.get("/secret-of-path")


async def test_off_a_terminal_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    configure_logging(stream)
    async with client_of(Gateway(shop, "memory://")) as client:
        await placed(client, Idempotency_Key="k")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]

    line = next(line for line in lines if line["logger"] == "diptych.access")
    assert line.pop("time")
    assert line.pop("milliseconds") > 0
    assert line == {
        "level": "info",
        "logger": "diptych.access",
        "message": "request",
        "method": "POST",
        "route": PLACE,
        "status": 200,
        "command_id": "k",
    }


async def test_no_payload_and_no_header_is_in_any_line() -> None:
    stream = io.StringIO()
    configure_logging(stream, logging.DEBUG)
    await explode()
    lines = [line for line in stream.getvalue().splitlines() if json.loads(line)["logger"].startswith("diptych")]
    text = "\n".join(lines)

    assert not [
        secret
        for secret in ("secret-of-body", "secret-of-header", "secret-of-query", "secret-of-path")
        if secret in text
    ]
    failed = next(line for line in map(json.loads, text.splitlines()) if line["level"] == "error")
    assert "RuntimeError" in failed["exception"][0]
    assert any("contexts.py" in frame for frame in failed["exception"])


async def test_on_a_terminal_lines_are_for_people() -> None:
    stream = Terminal()
    configure_logging(stream)
    await explode()
    async with client_of(Gateway(shop, "memory://")) as client:
        await client.post(PLACE, json=order_body(), headers={"Idempotency-Key": "k"})
    lines = stream.getvalue().splitlines()

    assert any(line.split(" ", 1)[1].startswith(f"POST {PLACE} 200 ") and line.endswith(" ms k") for line in lines)
    assert any("RuntimeError" in line for line in lines)
    assert any(" ERROR: POST /odd ones/commands/Explode failed" in line for line in lines)


def test_a_control_character_moves_no_cursor() -> None:
    stream = Terminal()
    configure_logging(stream)
    logging.getLogger("test").warning("a\x1b[2Jb")

    assert "\x1b" not in stream.getvalue()
