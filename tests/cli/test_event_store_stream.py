import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diptych import App, BoundedContext, Zstd
from tests.app.shop import order, orders, shop
from tests.cli.conftest import SHOP
from tests.cli.running import Diptych, Ran

STREAM = [sys.executable, "-m", "diptych", "event-store", "stream"]


def test_every_event_is_a_line_in_order_of_the_log(diptych: Diptych, store: str) -> None:
    ran = diptych("event-store", "stream")

    assert ran.code == 0
    words = [line.split() for line in ran.out.splitlines()]
    assert [(position, stream, type) for position, _, stream, type, _ in words] == [
        ("1", "order-1@1", "OrderPlaced"),
        ("2", "order-2@1", "OrderPlaced"),
        ("3", "order-1@2", "OrderShipped"),
    ]
    assert words[2][4] == '{"order_id":"1"}'


def test_json_has_every_field_with_and_without_a_target(
    diptych: Diptych, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = diptych("event-store", "stream", "--json")
    first = ran.lines()[0]
    monkeypatch.delenv("DIPTYCH_TARGET")

    assert list(first) == [
        "position",
        "stream",
        "version",
        "type",
        "schema",
        "event_id",
        "recorded_at",
        "tags",
        "data",
        "metadata",
    ]
    assert first["data"] == {"order_id": "1", "customer_id": "c", "total": "15.00"}
    assert first["metadata"]["actor"] == "ann"
    assert first["metadata"]["manual"] is False
    assert diptych("event-store", "stream", "--json") == ran


def test_a_time_a_type_and_a_limit_say_which_events(diptych: Diptych, store: str) -> None:
    times = [line["recorded_at"] for line in diptych("event-store", "stream", "--json").lines()]

    def positions(*words: str) -> list[int]:
        ran = diptych("event-store", "stream", *words, "--json")
        assert ran.code == 0
        return [line["position"] for line in ran.lines()]

    assert positions("2001-01-01") == [1, 2, 3]
    assert positions(times[0]) == [1, 2, 3]
    assert positions(times[1]) == [2, 3]
    assert positions(times[2]) == [3]
    assert positions("2999-01-01T00:00:00+01:00") == []
    assert positions("--type", "OrderPlaced") == [1, 2]
    assert positions("--type", "OrderPlaced", "--type", "OrderShipped") == [1, 2, 3]
    assert positions("--type", "Nothing") == []
    assert positions("--limit", "2") == [1, 2]
    assert positions(times[1], "--limit", "1", "--type", "OrderShipped") == [3]
    assert positions("--follow", "--limit", "3") == [1, 2, 3]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["yesterday"], "'yesterday' is no time; say 2026-01-31, or 2026-01-31T12:00:00Z"),
        (["2026-02-30"], "is no time"),
        (["2026-01-31T12:00:00"], "has no zone; say 2026-01-31T12:00:00Z for UTC"),
        (["--category", "order-a"], "'order-a' is no category: it has a dash"),
        (["--limit", "0"], "--limit"),
        (["--limit", "many"], "--limit"),
        (["2026-01-31", "2026-02-01"], "2026-02-01"),
    ],
)
def test_wrong_words_end_with_2(diptych: Diptych, store: str, words: list[str], complaint: str) -> None:
    ran = diptych("event-store", "stream", *words)

    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err


def test_data_that_a_terminal_would_obey_is_shown_as_escapes(diptych: Diptych, store: str) -> None:
    async def place() -> None:
        async with shop.open(store, projectors=False) as app:
            await app.execute(order("3", customer_id="a\u202eb\u009b31m"))

    asyncio.run(place())
    last = diptych("event-store", "stream").out.splitlines()[-1]

    assert "a\\u202eb\\x9b31m" in last
    assert last.isprintable()


def test_a_long_event_is_cut_for_a_person_and_whole_as_json(diptych: Diptych, store: str) -> None:
    async def place() -> None:
        async with shop.open(store, projectors=False) as app:
            await app.execute(order("3", customer_id="c" * 200))

    asyncio.run(place())
    assert diptych("event-store", "stream").out.splitlines()[-1].endswith("c…")
    assert diptych("event-store", "stream", "--json").lines()[-1]["data"]["customer_id"] == "c" * 200


CODED = """
import base64
from tests.app.shop import orders
from diptych import BoundedContext

class Base64:
    def encode(self, data):
        return base64.b64encode(data)

    def decode(self, data):
        return base64.b64decode(data, validate=True)

coded = BoundedContext("coded", aggregates=[orders], codec=Base64())
"""


def test_data_of_a_codec_needs_its_context(diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "stream_coded.py").write_text(CODED)
    monkeypatch.setenv("DIPTYCH_STORE", "sqlite:///coded.db")
    fact = '{"order_id": "1", "customer_id": "c", "total": "1"}'
    recording = ["event-store", "append", "order-1", fact, "--type", "OrderPlaced"]
    assert diptych(*recording, "--target", "stream_coded:coded").code == 0

    ran = diptych("event-store", "stream")
    assert ran.code == 1
    assert "Event 1 (OrderPlaced in stream 'order-1') cannot be read: its data is no JSON; if its context" in ran.err
    ran = diptych("event-store", "stream", "--json", "--target", "stream_coded:coded")
    assert ran.lines()[0]["data"] == {"order_id": "1", "customer_id": "c", "total": "1"}


def grow(store: str, count: int) -> None:
    """Events in order of the log, straight into the file."""

    async def place() -> None:
        async with shop.open(store, projectors=False) as app:
            await asyncio.gather(*[app.execute(order(f"more-{number}")) for number in range(count)])

    asyncio.run(place())


@contextmanager
def running(store: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    with subprocess.Popen(
        [*STREAM, "--store", store, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("end", [[], ["--follow"]], ids=["to the end", "following"])
def test_a_reader_that_has_enough_ends_it_without_a_complaint(store: str, end: list[str]) -> None:
    grow(store, 3000)
    with running(store, "--json", *end) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["position"] == 1
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(10) == 0


def test_ctrl_c_in_the_middle_of_a_long_log_ends_it_with_130(store: str) -> None:
    grow(store, 5000)
    with running(store, "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()  # the pipe is full soon, and the rest waits for a reader
        process.send_signal(signal.SIGINT)
        rest, complaint = process.communicate(timeout=10)

    assert process.returncode == 130
    assert complaint == "diptych: stopped\n"
    assert len(rest.splitlines()) < 5000


async def place_one(store: str, id: str = "late") -> None:
    app: App
    async with shop.open(store, projectors=False) as app:
        await app.execute(order(id))


def test_a_follower_sees_what_others_keep_and_ends_with_130_at_ctrl_c(store: str) -> None:
    with running(store, "2001-01-01", "--follow") as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(3)]
        asyncio.run(place_one(store))
        seen.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=10)

    assert [line.split()[0] for line in seen] == ["1", "2", "3", "4"]
    assert "order-late@1" in seen[3]
    assert process.returncode == 130
    assert complaint == "diptych: stopped\n"


def test_a_follower_from_a_time_to_come_prints_nothing_that_is_recorded_before_it(store: str) -> None:
    begin = datetime.now(UTC) + timedelta(seconds=2.5)
    with running(store, begin.isoformat(), "--follow", "--json", "--limit", "1") as process:
        time.sleep(1.5)
        asyncio.run(place_one(store, "early"))
        time.sleep(max(0, (begin - datetime.now(UTC)).total_seconds()) + 0.1)
        asyncio.run(place_one(store))
        said, _ = process.communicate(timeout=10)

    assert [json.loads(line)["stream"] for line in said.splitlines()] == ["order-late"]
    assert process.returncode == 0


def test_compressed_events_are_shown_without_their_context(
    diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = BoundedContext("packed", aggregates=[orders], codec=Zstd(threshold=1))

    async def fill() -> None:
        async with packed.open(f"sqlite:///{folder / 'packed.db'}") as app:
            await app.execute(order("1" * 100))

    asyncio.run(fill())
    monkeypatch.setenv("DIPTYCH_STORE", f"sqlite:///{folder / 'packed.db'}")
    [line] = diptych("event-store", "stream", "--json").lines()
    assert line["data"]["order_id"] == "1" * 100
    ran = diptych("event-store", "stream", "--target", SHOP)
    assert ran.code == 1
    assert "cannot be read: it is compressed, and this context has no codec for that; give it codec=Zstd()" in ran.err
    monkeypatch.setattr("diptych.log.compression.import_module", no_module)
    ran = diptych("event-store", "stream")
    assert ran.code == 1
    assert "its data is no JSON; if its context has a codec, name it with --target" in ran.err


def no_module(name: str) -> None:
    raise ModuleNotFoundError(name)


def positions(ran: Ran) -> list[int]:
    return [line["position"] for line in ran.lines()]


def test_events_are_found_by_stream_category_and_tag_and_from_the_latest_on(diptych: Diptych, store: str) -> None:
    def found(*words: str) -> list[int]:
        return positions(diptych("event-store", "stream", "--json", *words))

    assert found("--stream", "order-1") == [1, 3]
    assert found("--category", "order", "--backwards") == [3, 2, 1]
    assert found("--category", "ord") == []
    assert found("--backwards", "--limit", "1") == [3]
    assert found("--tag", "customer_id:nobody") == []
    assert found("--until", "2020-01-01") == []
    assert found("2020-01-01", "--until", "9999-12-31") == [1, 2, 3]


@pytest.mark.parametrize("words", [("--backwards",), ("--until", "2026-01-01")])
def test_a_follower_has_no_end(diptych: Diptych, store: str, words: tuple[str, ...]) -> None:
    ran = diptych("event-store", "stream", "--follow", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "a follower goes on for ever" in ran.err
