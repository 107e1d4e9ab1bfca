"""An import: every line once and in order, whatever became of the run before; no line that could not be read again."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from diptych import App, ImportStopped, Unavailable
from diptych.app.imports.batches import BATCH_EVENTS, Trail
from diptych.log import Batch, Outcome
from tests.app.evolving import InvoiceV3, third
from tests.app.shop import shop

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def a_line(stream: str = "order-1", type: str = "OrderPlaced", **more: Any) -> bytes:
    id = stream.partition("-")[2]
    data = {"order_id": id, "customer_id": "c", "total": "15.00"} if type == "OrderPlaced" else {"order_id": id}
    return json.dumps({"stream": stream, "type": type, "data": data} | more).encode()


def lines_of(count: int) -> list[bytes]:
    return [a_line(f"order-{number}") for number in range(1, count + 1)]


async def imported(app: App, lines: Iterable[bytes]) -> tuple[int, int]:
    done = await app.import_events(lines).run()
    return done.imported, done.before


async def streams(app: App) -> list[str]:
    return [f"{one.stream}@{one.version}" async for one in app.events()]


async def test_lines_become_events_in_their_order_and_can_be_decided_on() -> None:
    async with shop.open("memory://") as app:
        lines = [a_line("order-2"), a_line("order-1"), b"\n", a_line("order-2", "OrderShipped") + b"\r\n"]
        done = await app.import_events(lines).run()
        assert (done.imported, done.before, done.token) == (3, 0, await app.token())
        assert await streams(app) == ["order-2@1", "order-1@1", "order-2@2"]


async def test_a_line_keeps_what_it_says_of_where_the_event_came_from() -> None:
    told = {"command_id": "c-1", "correlation_id": "r-1", "actor": "ann", "manual": True}
    line = a_line(tags=["k:1", "l:2"], event_id=ID, recorded_at="2009-01-31T12:00:00Z", position=77, metadata=told)
    async with shop.open("memory://") as app:
        await app.import_events([line, a_line("order-2")]).run()
        first, second = [one async for one in app.events()]
    assert (first.tags, first.event_id) == (("k:1", "l:2"), ID)
    assert first.metadata.first_recorded_at == datetime(2009, 1, 31, 12, tzinfo=UTC)
    assert first.recorded_at.year > 2009, "the log's own time never falls"
    metadata = first.metadata
    assert (metadata.command_id, metadata.correlation_id, metadata.causation_id) == ("c-1", "r-1", "c-1")
    assert (metadata.actor, metadata.manual) == ("ann", True)
    assert second.metadata.command_id.startswith("import-")
    assert second.metadata.first_recorded_at is None


async def test_the_same_lines_are_kept_once_also_with_more_after_them(tmp_path: Path) -> None:
    lines = lines_of(2 * BATCH_EVENTS + 500)
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    async with shop.open(url) as app:
        assert await imported(app, lines[: BATCH_EVENTS + 300]) == (BATCH_EVENTS + 300, 0)
    async with shop.open(url) as app:
        assert await imported(app, lines) == (BATCH_EVENTS + 200, BATCH_EVENTS + 300)
        assert await imported(app, lines) == (0, len(lines))
        assert await streams(app) == [f"order-{number}@1" for number in range(1, len(lines) + 1)]


async def test_two_imports_of_the_same_at_once_keep_it_once() -> None:
    lines = lines_of(3 * BATCH_EVENTS)
    async with shop.open("memory://") as app:
        both = await asyncio.gather(*[imported(app, lines) for _ in range(2)])
        assert [sum(counts) for counts in zip(*both, strict=True)] == [len(lines)] * 2
        assert len(await streams(app)) == len(lines)


async def test_lines_that_have_changed_since_they_were_imported_are_refused() -> None:
    lines = lines_of(10)
    async with shop.open("memory://") as app:
        await app.import_events(lines).run()
        changed = [*lines[:5], a_line("order-77"), *lines[6:]]
        for other in (changed, changed[:9], [*changed, a_line("order-11")], [lines[0], b"{", lines[2]]):
            with pytest.raises(ImportStopped, match=r"^Lines 1 to \d+: these are not those that were imported with"):
                await app.import_events(other).run()
        assert await imported(app, lines[1:3]) == (2, 0), "another beginning is another import"


@pytest.mark.parametrize("at", [0, 1, BATCH_EVENTS - 1])
async def test_a_changed_line_in_a_later_batch_is_refused_with_its_lines(at: int) -> None:
    lines = lines_of(3 * BATCH_EVENTS)
    async with shop.open("memory://") as app:
        await app.import_events(lines).run()
        changed = lines.copy()
        changed[BATCH_EVENTS + at] = a_line("order-77")
        importing = app.import_events(changed)
        with pytest.raises(ImportStopped) as raised:
            await importing.run()
        assert str(raised.value).startswith(
            "Lines 1,001 to 2,000: these are not those that were imported after line 1,000."
        )
        assert (importing.line, importing.before, importing.imported) == (BATCH_EVENTS, BATCH_EVENTS, 0)
        assert len(await streams(app)) == len(lines)


async def test_a_shorter_file_was_imported_before() -> None:
    lines = [*lines_of(BATCH_EVENTS + 3), a_line("order-9998", event_id=ID), a_line("order-9999")]
    async with shop.open("memory://") as app:
        await app.import_events(lines).run()
        for count in (3, BATCH_EVENTS, BATCH_EVENTS + 2, BATCH_EVENTS + 4):
            done = await app.import_events(lines[:count]).run()
            assert (done.imported, done.before, done.token.position) == (0, count, count)
        with pytest.raises(ImportStopped, match="after line 1,000"):
            await app.import_events([*lines[:-2], a_line("order-9998", event_id=ID.replace("0", "1"))]).run()
        assert await imported(app, [*lines, a_line("order-10000")]) == (1, len(lines))


async def test_how_the_json_of_a_line_is_laid_out_does_not_matter() -> None:
    lines = [a_line(f"order-{number}", tags=["k:\u00e9"]) for number in range(5)]

    def other(line: bytes) -> bytes:
        fields = json.loads(line)
        return json.dumps(dict(reversed(fields.items())), ensure_ascii=False, separators=(",", ":")).encode()

    async with shop.open("memory://") as app:
        await app.import_events(lines).run()
        assert await imported(app, map(other, lines)) == (0, 5)
        assert await imported(app, map(other, lines[:2])) == (0, 2)


def test_numbers_are_the_same_by_their_value() -> None:
    def fingerprint(line: bytes) -> bytes:
        trail = Trail()
        trail.add(line)
        return trail.fingerprint()

    assert fingerprint(b'{"a": 1.50, "b": 2.0}') == fingerprint(b'{"b":2,"a":1.5}')
    exact = [b"[0.1]", b"[0.10000000000000000001]", b"[1]", b'["1"]', b"[12345678901234567890123.1]"]
    exact += [b"[1.%s1]" % (b"0" * 40), b"[1.%s2]" % (b"0" * 40)]
    assert len({fingerprint(line) for line in exact}) == len(exact)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "This is not JSON"),
        (b'{"stream": "order-1", "type": "OrderPlaced"}', "missing required field `data`"),
        (a_line(extra=1), "unknown field `extra`"),
        (a_line("order"), "'order' names no stream"),
        (a_line("ordr-1"), "There is no aggregate 'ordr'; did you mean 'order'?"),
        (a_line(type="OrderPlacd"), "There is no event 'OrderPlacd'; did you mean 'OrderPlaced'?"),
        (a_line(schema=2), "it has schema 2, and this context reads schema 1"),
        (
            a_line(data={"order_id": "1", "customer_id": "c", "total": "x"}),
            "Invalid decimal.* at `\\$.data.total`",
        ),
        (a_line(data={"order_id": "1", "customer_id": "c", "total": "1e99"}), "at `\\$.data.total`"),
        (a_line(data={"order_id": "1", "customer_id": "c", "total": "1", "a": 1}), "has no field 'a'.*`\\$.data.a`"),
        (a_line(data={"order_id": "2", "customer_id": "c", "total": "1"}), "of 'order-2', and not of 'order-1'"),
        (a_line(data=[]), "Expected `object`"),
        (a_line(version=0), "Expected `int` >= 1"),
        (a_line(version=2**63), r"\$.version"),
        (a_line(recorded_at="2009-01-31T12:00:00"), "Expected a time with a zone"),
        (a_line(metadata={"command_id": ""}), "Expected an id of 1 to 200 characters"),
        (a_line(metadata={"user": "x"}), "unknown field `user`"),
        (a_line(tags=[""]), "Expected an id of 1 to 200 characters"),
        (a_line(event_id="7"), "Invalid UUID"),
    ],
)
async def test_a_line_that_cannot_be_taken_is_named_and_its_batch_is_not_kept(line: bytes, reason: str) -> None:
    lines = [*lines_of(BATCH_EVENTS + 1), line]
    async with shop.open("memory://") as app:
        importing = app.import_events(lines)
        with pytest.raises(ImportStopped, match=reason) as raised:
            await importing.run()
        assert str(raised.value).startswith(f"Line {len(lines):,}: ")
        assert (importing.line, importing.imported) == (BATCH_EVENTS, BATCH_EVENTS)
        assert await imported(app, [*lines[:-1], a_line("order-9999")]) == (2, BATCH_EVENTS)


async def test_versions_of_lines_hold_or_nothing_of_the_batch_is_kept() -> None:
    lines = [a_line("order-1", version=1), a_line("order-2"), a_line("order-1", "OrderShipped", version=2)]
    async with shop.open("memory://") as app:
        with pytest.raises(ImportStopped, match="Line 3: Version 3 of order-1 does not follow the one before"):
            await app.import_events([*lines[:2], a_line("order-1", "OrderShipped", version=3)]).run()
        with pytest.raises(ImportStopped, match="stream 'order-1' at version 1, found no such stream"):
            await app.import_events(lines[2:]).run()
        assert await imported(app, lines) == (3, 0)
        with pytest.raises(ImportStopped, match=r"Lines 1 to 2: .* stream 'order-1' at version 0, found version 2"):
            await app.import_events([a_line("order-9"), lines[0]]).run()
        assert len(await streams(app)) == 3


async def test_a_log_that_fails_in_between_leaves_figures_that_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(3 * BATCH_EVENTS)
    async with shop.open("memory://") as app:
        real = app.log.append_batch
        failing = iter([False, True, True])

        async def sometimes(batch: Batch) -> Outcome:
            if next(failing):
                raise Unavailable("gone")
            return await real(batch)

        log = cast("Any", app.log)
        monkeypatch.setattr(log, "append_batch", sometimes)
        importing = app.import_events(lines)
        with pytest.raises(Unavailable):
            await importing.run()
        assert (importing.line, importing.imported) == (BATCH_EVENTS, BATCH_EVENTS)
        monkeypatch.undo()
        assert await imported(app, lines) == (2 * BATCH_EVENTS, BATCH_EVENTS)


async def test_one_that_is_cancelled_counts_what_is_kept_and_the_next_goes_on() -> None:
    lines = lines_of(3 * BATCH_EVENTS)

    async def endless() -> AsyncIterator[bytes]:
        for line in lines[: BATCH_EVENTS + 10]:
            yield line
        await asyncio.Event().wait()

    async with shop.open("memory://") as app:
        importing = app.import_events(endless())
        running = asyncio.create_task(importing.run())
        await app.log.wait_past(0, timedelta(seconds=10))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert importing.line == (await app.log.head()).position == BATCH_EVENTS
        assert await imported(app, lines) == (2 * BATCH_EVENTS, BATCH_EVENTS)


async def test_events_of_older_schemas_and_retired_events_are_kept_as_they_are() -> None:
    old = {"invoice_id": "1", "total": "7.50"}
    lines = [
        a_line("invoice-1", "InvoiceIssued", schema=1, data=old),
        a_line("reminder-9", "Reminded", schema=3, data={"any": [1]}),
    ]
    async with third().open("memory://") as app:
        await app.import_events(lines).run()
        kept = (await app.log.read_records(0)).events
        read = [one.event async for one in app.events()]
        with pytest.raises(ImportStopped, match="of schema 1 cannot be read: total_is_called_amount, its upcaster"):
            await app.import_events([a_line("invoice-1", "InvoiceIssued", schema=1, data={})]).run()
        with pytest.raises(ImportStopped, match="Expected `object`"):
            await app.import_events([a_line("reminder-9", "Reminded", data=7)]).run()
    assert [(one.type, one.schema, json.loads(one.data)) for one in kept] == [
        ("InvoiceIssued", 1, old),
        ("Reminded", 3, {"any": [1]}),
    ]
    assert read == [InvoiceV3(invoice_id="1", amount=Decimal("7.50"), currency="GBP")]
