from pathlib import Path

import pytest

from tests.cli.running import Diptych

CART = """
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from diptych import Aggregate, BoundedContext, Command, Event


class Put(Command):
    cart_id: str
    sku: str


class PutIn(Event):
    cart_id: str
    sku: str


class Emptied(Event):
    cart_id: str


class Looked(Event):
    cart_id: str


class Broken(Event):
    cart_id: str


@dataclass(frozen=True)
class Cart:
    skus: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    note: object = None


carts = Aggregate("cart", id="cart_id", initial=Cart())


@carts.decide
def put(cart: Cart, command: Put) -> Iterator[PutIn]:
    yield PutIn(cart_id=command.cart_id, sku=command.sku)


@carts.evolve
def put_in(cart: Cart, event: PutIn) -> Cart:
    counts = {**cart.counts, event.sku: cart.counts.get(event.sku, 0) + 1}
    return Cart((*cart.skus, event.sku), counts, cart.total + Decimal("1.5"))


@carts.evolve
def emptied(cart: Cart, event: Emptied) -> Cart:
    return Cart()


@carts.evolve
def looked(cart: Cart, event: Looked) -> Cart:
    return cart


@carts.evolve
def broken(cart: Cart, event: Broken) -> Cart:
    raise LookupError("no such shelf")


shop = BoundedContext("carts", aggregates=[carts])
"""


@pytest.fixture
def cart(diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Diptych:
    """Records events of cart-1 by hand: `cart("PutIn", sku)`."""
    (folder / "replay_cart.py").write_text(CART)
    monkeypatch.setenv("DIPTYCH_STORE", "sqlite:///cart.db")
    monkeypatch.setenv("DIPTYCH_TARGET", "replay_cart:shop")
    for type, more in (("PutIn", ', "sku": "mug"'), ("PutIn", ', "sku": "mug"'), ("Looked", ""), ("Emptied", "")):
        ran = diptych("event-store", "append", "cart-1", f'{{"cart_id": "1"{more}}}', "--type", type, "--actor", "ann")
        assert ran.code == 0
    return diptych


def without_times(text: str) -> list[str]:
    return [" ".join(word for word in line.split() if not word.endswith("Z")) for line in text.splitlines()]


def test_the_story_shows_what_each_event_did_and_where_it_ended(cart: Diptych) -> None:
    ran = cart("event-store", "replay", "cart-1")

    assert ran.code == 0
    assert without_times(ran.out) == [
        "1 PutIn position 1 by ann (manual)",
        '+ skus[0]: "mug"',
        "+ counts.mug: 1",
        '~ total: "0" → "1.5"',
        "2 PutIn position 2 by ann (manual)",
        '+ skus[1]: "mug"',
        "~ counts.mug: 1 → 2",
        '~ total: "1.5" → "3.0"',
        "3 Looked position 3 by ann (manual)",
        "(the state is the same)",
        "4 Emptied position 4 by ann (manual)",
        '~ total: "3.0" → "0"',
        '- skus[0]: "mug"',
        '- skus[1]: "mug"',
        "- counts.mug: 2",
        "",
        "cart-1 at version 4:",
        "skus: []",
        "counts: {}",
        'total: "0"',
        "note: null",
    ]
    assert "\x1b" not in ran.out


def test_the_state_at_a_version_or_a_time(cart: Diptych) -> None:
    [story] = cart("event-store", "replay", "cart-1", "--json").lines()
    assert [step["event"]["version"] for step in story["steps"]] == [1, 2, 3, 4]
    assert (story["version"], story["latest_version"], story["aggregate"]) == (4, 4, "cart")
    assert story["state"] == {"skus": [], "counts": {}, "total": "0", "note": None}
    assert story["steps"][1]["changes"][0] == {"path": "skus[1]", "after": "mug"}

    second = story["steps"][1]["event"]["recorded_at"]
    for at in ("2", second):
        [then] = cart("event-store", "replay", "cart-1", "--at", at, "--json").lines()
        assert then["state"]["counts"] == {"mug": 2}
        assert (then["version"], then["latest_version"]) == (2, 4)
        assert then["steps"] == story["steps"][:2]
    assert "cart-1 at version 2, of 4 by now:" in cart("event-store", "replay", "cart-1", "--at", "2").out
    assert cart("event-store", "replay", "cart-1", "--at", "2999-01-01", "--json").lines() == [story]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["cart-2"], 1, "there is no stream 'cart-2' in this store"),
        (["cart-1", "--at", "5"], 1, "cart-1 is at version 4, and not at 5 yet"),
        (["cart-1", "--at", "2001-01-01"], 1, "cart-1 was not there then; its first event was recorded at 2"),
        (["cart-1", "--at", "0"], 2, "versions are counted from 1"),
        (["cart-1", "--at", "noon"], 2, "'noon' is no time"),
        (["card-1"], 2, "There is no aggregate 'card'; did you mean 'cart'?"),
        (["cart"], 2, "'cart' names no stream: category, dash, id, such as cart-1"),
        (["cart-"], 2, "Expected an id"),
    ],
)
def test_a_story_that_cannot_be_told(cart: Diptych, words: list[str], code: int, complaint: str) -> None:
    ran = cart("event-store", "replay", *words)

    assert (ran.code, ran.out) == (code, "")
    assert complaint in ran.err


def test_an_evolve_that_fails_is_shown_with_the_users_own_line(cart: Diptych) -> None:
    assert cart("event-store", "append", "cart-1", '{"cart_id": "1"}', "--type", "Broken").code == 0
    ran = cart("event-store", "replay", "cart-1")

    assert ran.code == 1
    first, place, error = ran.err.splitlines()
    assert first == "diptych: broken fails at event 5 (Broken, version 5):"
    assert place.startswith("  replay_cart.py:")
    assert error == "  LookupError: no such shelf"


def test_an_event_that_this_context_does_not_know_ends_with_1(cart: Diptych, folder: Path) -> None:
    (folder / "replay_older.py").write_text(CART.replace("Looked", "Noted"))
    ran = cart("event-store", "replay", "cart-1", "--target", "replay_older:shop")

    assert ran.code == 1
    assert "Event 3 (Looked in stream 'cart-1') cannot be read" in ran.err
