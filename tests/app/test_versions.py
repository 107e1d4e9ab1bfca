"""Events for ever: several schemas in one stream and one projection, retired ones, and stored bytes as they were."""

import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from diptych import BoundedContext, ContextError, Event, NotCaughtUp, UnreadableEvent, Upcaster, upcasts
from diptych.log import RecordedEvent
from diptych.stores import store_at
from tests.app.evolving import (
    AllOwed,
    InvoiceV3,
    Issue,
    Owed,
    Remind,
    all_was_in_pounds,
    first,
    second,
    third,
    total_is_called_amount,
)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    return f"sqlite:///{tmp_path}/billing.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def url(place: str) -> str:
    """A store with streams of schemas 1 and 2, and a retired event between them."""
    url = place
    async with first().open(url) as app:
        await app.execute(Issue(invoice_id="a", amount=Decimal("1.10")))
        await app.execute(Remind(invoice_id="a"))
    async with second().open(url) as app:
        await app.execute(Issue(invoice_id="b", amount=Decimal("2.20")))
    return url


async def stored_bytes(url: str) -> list[RecordedEvent]:
    async with store_at(url).log() as log:
        return list((await log.read_records(0)).events)


async def test_several_schemas_are_read_by_one_aggregate_and_one_projection(url: str) -> None:
    before = await stored_bytes(url)
    async with third().open(url) as app:
        receipt = await app.execute(Issue(invoice_id="a", amount=Decimal("0.90")))
        assert (receipt.version, receipt.events) == (3, ("InvoiceIssued",))
        assert await app.ask(AllOwed(), after=receipt.token) == [
            Owed(invoice_id="a", amount=Decimal("2.00"), currency="EUR"),
            Owed(invoice_id="b", amount=Decimal("2.20"), currency="GBP"),
        ]
        events = [recorded.event async for recorded in app.events()]
    assert events[:2] == [
        InvoiceV3(invoice_id="a", amount=Decimal("1.10"), currency="GBP"),
        InvoiceV3(invoice_id="b", amount=Decimal("2.20"), currency="GBP"),
    ]
    assert (await stored_bytes(url))[:3] == before


async def test_without_its_upcaster_an_old_event_stops_what_needs_it_and_nothing_else(url: str) -> None:
    async with third((all_was_in_pounds,)).open(url) as app:
        with pytest.raises(UnreadableEvent, match="no upcaster from there to schema 3") as raised:
            await app.execute(Issue(invoice_id="a", amount=Decimal(1)))
        assert (raised.value.position, raised.value.stream, raised.value.type) == (1, "invoice-a", "InvoiceIssued")
        kept = await app.execute(Issue(invoice_id="b", amount=Decimal(1)))
        with pytest.raises(NotCaughtUp, match=r"event 1, holds back its stream invoice-a"):
            await app.ask(AllOwed(), after=kept.token)


@upcasts(InvoiceV3, from_schema=1)
def broken(old: dict[str, Any]) -> dict[str, Any]:
    return {"amount": old["no such field"]}


@upcasts(InvoiceV3, from_schema=1)
def wrong(old: dict[str, Any]) -> dict[str, Any]:
    return {"invoice_id": 5}


@upcasts(InvoiceV3, from_schema=1)
def unheard_of(old: dict[str, Any]) -> dict[str, Any]:
    return {"invoice_id": object()}


@upcasts(InvoiceV3, from_schema=1)
def leaving(old: dict[str, Any]) -> dict[str, Any]:
    sys.exit(3)


@pytest.mark.parametrize(
    ("upcaster", "reason"),
    [
        (broken, "broken, its upcaster from schema 1, failed: KeyError('no such field')"),
        (leaving, "leaving, its upcaster from schema 1, failed: SystemExit(3)"),
        (
            wrong,
            "wrong and all_was_in_pounds, its upcasters from schema 1, gave what is not the event: Expected `str`, got",
        ),
        (unheard_of, "unheard_of and all_was_in_pounds, its upcasters from schema 1, gave what is not the event"),
    ],
)
async def test_an_upcaster_that_fails_makes_its_event_unreadable_and_is_named(
    url: str, upcaster: Upcaster, reason: str
) -> None:
    async with third((upcaster, all_was_in_pounds)).open(url) as app:
        with pytest.raises(UnreadableEvent, match=re.escape(reason)):
            await app.execute(Issue(invoice_id="a", amount=Decimal(1)))


async def test_an_event_that_is_not_retired_is_missed(url: str) -> None:
    async with third(retired=()).open(url) as app:
        with pytest.raises(UnreadableEvent, match="no event of that stored name"):
            await app.execute(Issue(invoice_id="a", amount=Decimal(1)))


def test_an_upcaster_is_still_a_function_to_be_tested() -> None:
    assert total_is_called_amount({"invoice_id": "a", "total": "1"}) == {"invoice_id": "a", "amount": "1"}


class Stranger(Event, schema=2):
    invoice_id: str


@upcasts(Stranger, from_schema=1)
def of_a_stranger(old: dict[str, Any]) -> dict[str, Any]:
    return old


@upcasts(InvoiceV3, from_schema=3)
def from_the_newest(old: dict[str, Any]) -> dict[str, Any]:
    return old


@upcasts(InvoiceV3, from_schema=0)
def from_none(old: dict[str, Any]) -> dict[str, Any]:
    return old


async def slow(old: dict[str, Any]) -> dict[str, Any]:
    return old


def problems(upcasters: Sequence[Upcaster], retired: Sequence[str] = ("Reminded",)) -> BoundedContext:
    return third(tuple(upcasters), tuple(retired))


@pytest.mark.parametrize(
    ("upcasters", "problem"),
    [
        ([of_a_stranger], r"of_a_stranger upcasts Stranger, which is no event of this context"),
        ([from_the_newest], r"from_the_newest upcasts InvoiceV3 from schema 3; its newest is 3"),
        ([from_none], r"from_none upcasts InvoiceV3 from schema 0; its newest is 3"),
        ([all_was_in_pounds, all_was_in_pounds], r"from schema 2, as another upcaster does already"),
        ([total_is_called_amount], r"InvoiceV3 has upcasters, but none from schema 2"),
        ([Upcaster(InvoiceV3, 2, slow)], r"slow upcasts InvoiceV3 and is a coroutine"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_way_that_leads_nowhere_is_found_when_the_context_is_built(upcasters: list[Upcaster], problem: str) -> None:
    with pytest.raises(ContextError, match=problem):
        problems(upcasters)


def test_an_event_cannot_be_both_retired_and_there() -> None:
    with pytest.raises(ContextError, match="event 'InvoiceIssued' is retired, and there is one of that name"):
        problems([all_was_in_pounds], ["InvoiceIssued"])
