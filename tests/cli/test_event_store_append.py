import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych

PLACED = '{"order_id": "9", "customer_id": "c", "total": "15.00"}'
SHIPPED = '{"order_id": "2"}'


def test_a_fact_is_recorded_as_it_stands_and_marked_as_manual(diptych: Diptych, store: str) -> None:
    ran = diptych("event-store", "append", "order-9", PLACED, "--type", "OrderPlaced", "--actor", "ann", "--json")
    [receipt] = ran.lines()
    last = diptych("event-store", "stream", "--json").lines()[-1]

    assert ran.code == 0
    assert list(receipt) == ["command_id", "token", "stream", "version", "events"]
    assert (receipt["stream"], receipt["version"], receipt["events"]) == ("order-9", 1, ["OrderPlaced"])
    assert receipt["token"].endswith(".4")
    assert last["data"] == json.loads(PLACED)
    assert last["metadata"]["manual"] is True
    assert last["metadata"]["actor"] == "ann"
    assert last["metadata"]["command_id"] == receipt["command_id"]


def test_the_receipt_for_a_person(diptych: Diptych, store: str) -> None:
    ran = diptych("event-store", "append", "order-9", PLACED, "--type", "OrderPlaced", "--command-id", "by-hand")

    assert ran.code == 0
    first, second, third = ran.out.splitlines()
    assert first == "Recorded OrderPlaced as version 1 of order-9, position 4."
    assert second == "Command  by-hand"
    assert third.startswith("Token    ")


def test_the_same_command_id_records_once_and_another_event_with_it_is_refused(diptych: Diptych, store: str) -> None:
    words = ["event-store", "append", "order-9", PLACED, "--type", "OrderPlaced", "--command-id", "by-hand"]
    first, again = diptych(*words), diptych(*words)
    other = diptych(*words[:3], PLACED.replace("15.00", "16.00"), *words[4:])

    assert first == again
    assert other.code == 1
    assert "was accepted before with another body" in other.err
    assert len(diptych("event-store", "stream").out.splitlines()) == 4


def test_an_expected_version_that_is_not_the_streams_ends_with_1(diptych: Diptych, store: str) -> None:
    words = ["event-store", "append", "order-2", SHIPPED, "--type", "OrderShipped", "--expected-version"]
    refused = diptych(*words, "7")

    assert (refused.code, refused.out) == (1, "")
    assert "Expected stream 'order-2' at version 7, found version 1. Nothing was recorded." in refused.err
    assert diptych(*words, "1").code == 0
    assert diptych("event-store", "append", "order-2", SHIPPED, "--type", "OrderShipped").code == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["order-9", '{"order_id": 9}', "--type", "OrderShipped"], "Expected `str`, got `int` - at `$.order_id`"),
        (["order-9", "{}", "--type", "OrderShipped"], "missing required field `order_id`"),
        (["order-9", "{", "--type", "OrderShipped"], "This is not JSON"),
        (["order-9", "[]", "--type", "OrderShipped"], "Expected `object`, got `array`"),
        (
            ["order-9", '{"order_id": "9", "ordr_id": "9"}', "--type", "OrderShipped"],
            "OrderShipped has no field 'ordr_id'; did you mean 'order_id'? - at `$.ordr_id`",
        ),
        (
            ["order-9", PLACED.replace("15.00", "NaN"), "--type", "OrderPlaced"],
            "Expected a finite decimal, got NaN - at `$.total`",
        ),
        (["order-9", SHIPPED, "--type", "OrderShiped"], "did you mean 'OrderShipped'?"),
        (["order-9", SHIPPED], "name one: OrderPlaced, OrderShipped"),
        (["ordr-9", SHIPPED, "--type", "OrderShipped"], "There is no aggregate 'ordr'; did you mean 'order'?"),
        (["order", SHIPPED, "--type", "OrderShipped"], "'order' names no stream"),
        (["order-" + "9" * 201, SHIPPED, "--type", "OrderShipped"], "Expected an id of 1 to 200 characters"),
        (["order-9", SHIPPED, "--type", "OrderShipped", "--actor", ""], "at `$.actor`"),
        (["order-9", SHIPPED, "--type", "OrderShipped", "--command-id", "a\nb"], "at `$.command_id`"),
        (["order-9", SHIPPED, "--type", "OrderShipped", "--expected-version", "-1"], "--expected-version"),
        (["order-9", SHIPPED, "--type", "OrderShipped", "--expected-version", str(2**63)], "--expected-version"),
        (["order-9", "@missing.json", "--type", "OrderShipped"], "missing.json cannot be read: No such file"),
        (["order-9", "--type", "OrderShipped"], "EVENT_DATA"),
    ],
)
def test_what_is_not_valid_ends_with_2_and_records_nothing(
    diptych: Diptych, store: str, words: list[str], complaint: str
) -> None:
    ran = diptych("event-store", "append", *words)

    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err
    assert len(diptych("event-store", "stream").out.splitlines()) == 3


def test_the_event_may_come_from_a_file_or_from_stdin(
    diptych: Diptych, store: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shipped.json").write_text(SHIPPED)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SHIPPED.encode())))

    assert diptych("event-store", "append", "order-2", "@shipped.json", "--type", "OrderShipped").code == 0
    assert diptych("event-store", "append", "order-2", "-", "--type", "OrderShipped").code == 0


def test_a_closed_stdin_has_no_event(diptych: Diptych, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    ran = diptych("event-store", "append", "order-2", "-", "--type", "OrderShipped")

    assert ran.code == 2
    assert "This is not JSON" in ran.err


SEATS = """
from collections.abc import Iterator
from diptych import Aggregate, BoundedContext, Command, Event

class Reserve(Command):
    show: str
    seat: str

class Reserved(Event, tags="seat"):
    seat: str

shows = Aggregate("show", id="show", initial=frozenset(), boundary="seat")

@shows.decide
def reserve(taken: frozenset[str], command: Reserve) -> Iterator[Reserved]:
    yield Reserved(seat=command.seat)

@shows.evolve
def reserved(taken: frozenset[str], event: Reserved) -> frozenset[str]:
    return taken | {event.seat}

seats = BoundedContext("seats", aggregates=[shows])
"""


def test_the_only_event_of_an_aggregate_needs_no_type_and_its_tags_are_kept(
    diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "append_seats.py").write_text(SEATS)
    monkeypatch.setenv("DIPTYCH_STORE", "sqlite:///seats.db")
    monkeypatch.setenv("DIPTYCH_TARGET", "append_seats:seats")

    assert diptych("event-store", "append", "show-1", '{"seat": "A1"}').code == 0
    assert diptych("event-store", "stream", "--json").lines()[0]["tags"] == ["seat:A1"]
    assert "event      Reserved  schema 1, tags seat" in diptych("check").out
    told = diptych("event-store", "replay", "show-1").out
    assert '+ [0]: "A1"' in told
    assert told.endswith("Aggregate 'show' decides over a boundary of tags; this is its own stream only.\n")


def test_a_new_store_is_made_and_said_to_be_new(diptych: Diptych, folder: Path) -> None:
    words = ["--target", SHOP, "--store", "sqlite:///new.db", "--type", "OrderPlaced"]

    assert diptych("event-store", "append", "order-9", PLACED, *words).err == "A new store is made: sqlite:///new.db\n"
    assert diptych("event-store", "append", "order-9", PLACED, *words).err == ""
    assert diptych("event-store", "append", "order-9", PLACED, *words[:2], "--store", "sqlite:///no/new.db").code == 2
    assert diptych("event-store", "append", "order-9", PLACED, *words[:3], "sqlite:///no/n.db", *words[4:]).code == 3


def test_an_event_that_says_that_it_is_of_another_aggregate_is_refused(diptych: Diptych, store: str) -> None:
    ran = diptych("event-store", "append", "order-1", '{"order_id": "2"}', "--type", "OrderShipped")
    assert (ran.code, ran.out) == (2, "")
    assert "This event is of 'order-2', and not of 'order-1'" in ran.err
