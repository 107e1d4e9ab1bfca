import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych, Ran


def test_a_context_that_builds_is_described(diptych: Diptych) -> None:
    ran = diptych("check", SHOP)

    assert (ran.code, ran.err) == (0, "")
    assert [" ".join(line.split()) for line in ran.out.splitlines()] == [
        "Bounded context 'shop' builds.",
        "",
        "aggregate order by order_id",
        "command PlaceOrder to order",
        "command ShipOrder to order",
        "event OrderPlaced schema 1",
        "event OrderShipped schema 1",
        "view OrderSummary key order_id",
        "query OrdersOf",
        "query OrderById",
        "query OrderCount",
        "query AllOrders",
    ]


def test_the_description_as_json(diptych: Diptych) -> None:
    [answer] = diptych("check", SHOP, "--json").lines()

    assert (answer["problems"], answer["stored"]) == ([], None)
    assert answer["inventory"]["events"][0] == {"name": "OrderPlaced", "schema": 1, "tags": []}
    assert answer["inventory"]["views"] == [
        {"name": "OrderSummary", "key": ["order_id"], "index": ["customer_id"], "tables": []}
    ]


def test_a_context_that_does_not_build_ends_with_1_and_every_problem(diptych: Diptych, folder: Path) -> None:
    (folder / "check_bad.py").write_text(
        "from diptych import Aggregate, BoundedContext\n\n"
        "bad = BoundedContext('bad', aggregates=[Aggregate('a-b', id='i', initial=0)])\n"
    )
    ran = diptych("check", "check_bad:bad")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        "diptych: bounded context 'bad' does not build:",
        "  aggregate 'a-b' must have a name without a dash",
        "  aggregate 'a-b' decides no command",
    ]
    ran = diptych("check", "check_bad:bad", "--json")
    [answer] = ran.lines()
    assert (ran.code, ran.err, answer["inventory"]) == (1, "", None)
    assert len(answer["problems"]) == 2


def test_a_store_whose_events_can_all_be_read(diptych: Diptych, store: str) -> None:
    ran = diptych("check")

    assert ran.code == 0
    assert ran.out.endswith(f"It can read 2 kinds of events in {store}, told by the first of each: 3 events in all.\n")


def test_the_first_event_of_each_kind_is_decoded_in_any_case(diptych: Diptych, store: str, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as log, log:
        log.execute("UPDATE event SET data = x'7b' WHERE position = 3")
    ran = diptych("check")

    assert ran.code == 1
    assert "  OrderShipped, schema 1, first at position 3" in ran.out.splitlines()


NEWER = """
from tests.app.shop import Order, PlaceOrder
from collections.abc import Iterator
from diptych import Aggregate, BoundedContext, Event

class OrderPlaced(Event, schema=2):
    order_id: str

orders = Aggregate("order", id="order_id", initial=Order())

@orders.decide
def place(order: Order, command: PlaceOrder) -> Iterator[OrderPlaced]:
    yield OrderPlaced(order_id=command.order_id)

@orders.evolve
def placed(order: Order, event: OrderPlaced) -> Order:
    return order

newer = BoundedContext("newer", aggregates=[orders])
"""


def test_stored_types_and_schemas_that_the_context_cannot_read_end_with_1(
    diptych: Diptych, store: str, folder: Path
) -> None:
    (folder / "check_newer.py").write_text(NEWER)
    ran = diptych("check", "check_newer:newer")
    assert ran.code == 1
    assert ran.out.splitlines()[-5:] == [
        f"It cannot read every event of {store}:",
        "  OrderPlaced, schema 1, first at position 1",
        "    it has schema 1, and this context has no upcaster from there to schema 2",
        "  OrderShipped, schema 1, first at position 3",
        "    this context has no event of that stored name",
    ]
    ran = diptych("check", "check_newer:newer", "--json")
    [answer] = ran.lines()
    assert ran.code == 1
    assert [(one["type"], one["schema"], one["position"]) for one in answer["stored"]["unreadable"]] == [
        ("OrderPlaced", 1, 1),
        ("OrderShipped", 1, 3),
    ]


def test_every_event_is_decoded_when_it_is_asked_for(diptych: Diptych, store: str, folder: Path) -> None:
    ran = diptych("check", "--thorough")
    assert (ran.code, ran.out.splitlines()[-1]) == (
        0,
        f"It can read every event of {store}: 3 events, each was decoded.",
    )
    with closing(sqlite3.connect(folder / "shop.db")) as log, log:
        log.execute("UPDATE event SET data = x'7b' WHERE position = 2")
    assert diptych("check").code == 0
    ran = diptych("check", "--thorough")
    assert ran.code == 1
    assert "  OrderPlaced, schema 1, first at position 2" in ran.out.splitlines()


LOCKED = """
from collections.abc import Iterator
from decimal import Decimal
from diptych import Aggregate, BoundedContext, Command, Event

class Place(Command):
    order_id: str

class Placed(Event, schema={schema}):
    order_id: str{more}

orders = Aggregate("order", id="order_id", initial=0)

@orders.decide
def place(count: int, command: Place) -> Iterator[Placed]:
    yield from ()

@orders.evolve
def placed(count: int, event: Placed) -> int:
    return count + 1

shop = BoundedContext("shop", aggregates=[orders])
"""


def checked(diptych: Diptych, folder: Path, *words: str, schema: int = 1, more: str = "") -> Ran:
    """A check of a context whose event is so."""
    (folder / "locked.py").write_text(LOCKED.format(schema=schema, more="".join(f"\n    {line}" for line in [more])))
    sys.modules.pop("locked", None)
    return diptych("check", "locked:shop", *words)


def test_shapes_are_recorded_and_a_change_of_one_is_noticed(diptych: Diptych, folder: Path) -> None:
    lock = folder / "schemas.lock"
    assert checked(diptych, folder).code == 0
    assert not lock.exists()

    ran = checked(diptych, folder, "--update")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "schemas.lock has the shapes of all events.")
    assert checked(diptych, folder).code == 0

    ran = checked(diptych, folder, more="note: str = ''")
    assert ran.code == 1
    assert ran.out.splitlines()[-3:] == [
        "Events are not as schemas.lock has them:",
        "  Placed: it changed, and stored events can still be read",
        "Record them with: diptych check --update",
    ]
    assert checked(diptych, folder, "--update", more="note: str = ''").code == 0
    assert checked(diptych, folder, more="note: str = ''").code == 0


def test_a_change_that_leaves_stored_events_unreadable_is_not_recorded(diptych: Diptych, folder: Path) -> None:
    checked(diptych, folder, "--update")
    before = (folder / "schemas.lock").read_bytes()
    for words in ((), ("--update",)):
        ran = checked(diptych, folder, *words, more="total: Decimal")
        assert ran.code == 1
        assert "  Placed: it changed and is still schema 1: $.total is new and required" in ran.out.splitlines()
        assert ran.out.endswith(
            "Raise schema= and add an upcaster; or, if none was ever stored, delete the entry from the file.\n"
        )
    [answer] = checked(diptych, folder, "--json", more="total: Decimal").lines()
    assert [(one["event"], one["breaking"]) for one in answer["changes"]] == [("Placed", True)]
    assert (folder / "schemas.lock").read_bytes() == before

    assert checked(diptych, folder, schema=2, more="total: Decimal").code == 1
    assert checked(diptych, folder, "--update", schema=2, more="total: Decimal").code == 0
    assert checked(diptych, folder, schema=2, more="total: Decimal").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "schemas.lock is not what `diptych check --update` writes"),
        ('{"format": 1}', "is not what"),
        ('{"format": 9, "context": "shop", "events": {}}', "schemas.lock has format 9"),
    ],
)
def test_a_lock_that_is_none_is_wrong_use(diptych: Diptych, folder: Path, text: str, said: str) -> None:
    (folder / "schemas.lock").write_text(text)
    ran = diptych("check", SHOP)
    assert ran.code == 2
    assert said in ran.err
    (folder / "schemas.lock").unlink()
    (folder / "schemas.lock").mkdir()
    assert diptych("check", SHOP).code == 3
