from pathlib import Path

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych


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
    assert answer["inventory"]["views"] == [{"name": "OrderSummary", "key": ["order_id"], "index": ["customer_id"]}]


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
    assert ran.out.endswith(f"It can read every event of {store}: 3 events.\n")


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
        "  OrderPlaced, schema 1: 2 events, the first at position 1",
        "    it has schema 1, and this context reads schema 2",
        "  OrderShipped, schema 1: 1 event, the first at position 3",
        "    this context has no event of that stored name",
    ]
    ran = diptych("check", "check_newer:newer", "--json")
    [answer] = ran.lines()
    assert ran.code == 1
    assert [(one["type"], one["schema"], one["events"]) for one in answer["stored"]["unreadable"]] == [
        ("OrderPlaced", 1, 2),
        ("OrderShipped", 1, 1),
    ]
