"""The page at /docs, as a person uses it: a command is tried, and a query that is no older than it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from diptych.http import Gateway
from tests.app.shop import shop
from tests.http.serving import Serving, serving

ORDER = '{"order_id": "1", "customer_id": "ann", "lines": [{"sku": "mug", "quantity": 2, "price": "7.50"}]}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    with serving(Gateway(shop, f"sqlite:///{tmp_path / 'shop.db'}")) as server:
        yield server


def opened(page: Page, server: Serving, place: str = "") -> Page:
    page.goto(f"{server.url}/docs{place}")
    expect(page.locator("#title")).to_have_text("shop")
    return page


def status(page: Page) -> Locator:
    return page.locator("p.status b")


def send(page: Page) -> None:
    page.get_by_role("button", name="Send").click()


def place_order(page: Page, body: str = ORDER) -> None:
    page.get_by_role("button", name="PlaceOrder").click()
    page.get_by_label("Body").last.fill(body)
    send(page)


def test_a_command_brings_a_token_and_a_query_is_no_older_than_it(page: Page, server: Serving) -> None:
    place_order(opened(page, server))
    expect(status(page)).to_have_text("200")
    expect(page.locator("#token")).to_have_text(re.compile(r"^[0-9a-f]{16}\.1$"))

    page.get_by_role("button", name="OrdersOf").click()
    page.locator("label").filter(has_text="customer_id").locator("input").fill("ann")
    send(page)
    expect(status(page)).to_have_text("200")
    expect(page.locator("pre")).to_contain_text('"total": "15')
    expect(page.locator("dl")).to_contain_text("diptych-position")


def test_the_token_is_still_there_after_a_reload(page: Page, server: Serving) -> None:
    place_order(opened(page, server))
    expect(status(page)).to_have_text("200")
    token = page.locator("#token").inner_text()
    page.reload()
    expect(page.locator("#token")).to_have_text(token)


def test_a_refusal_is_shown_with_its_problem(page: Page, server: Serving) -> None:
    place_order(opened(page, server), ORDER.replace("7.50", "0.50"))
    expect(status(page)).to_have_text("422")
    expect(page.locator("pre")).to_contain_text('"code": "minimum-order"')


def test_what_is_no_json_is_not_sent(page: Page, server: Serving) -> None:
    place_order(opened(page, server), "{")
    expect(page.get_by_role("alert")).to_contain_text("This is not JSON")
    expect(status(page)).to_have_count(0)


def test_the_list_is_filtered_and_an_address_leads_to_its_message(page: Page, server: Serving) -> None:
    opened(page, server, "#queries/OrdersOf")
    expect(page.locator("main h2")).to_have_text("OrdersOf")
    page.get_by_label("Filter commands and queries").fill("ship")
    expect(page.locator("#names button")).to_have_text(["ShipOrder"])


def test_words_of_a_context_are_words_and_no_markup(page: Page, server: Serving) -> None:
    place_order(opened(page, server), ORDER.replace('"ann"', '"<img src=x onerror=alert(1)>"'))
    page.get_by_role("button", name="OrdersOf").click()
    page.locator("label").filter(has_text="customer_id").locator("input").fill("<img src=x onerror=alert(1)>")
    send(page)
    expect(page.locator("pre")).to_contain_text("<img src=x")
    expect(page.locator("pre img")).to_have_count(0)


def test_on_a_narrow_screen_what_was_chosen_and_what_came_back_come_into_sight(page: Page, server: Serving) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    place_order(opened(page, server))
    expect(status(page)).to_have_text("200")
    expect(status(page)).to_be_in_viewport()
    page.get_by_role("button", name="OrdersOf").click()
    expect(page.locator("main h2")).to_be_in_viewport()


@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_is_cut_off_on_a_narrow_screen_or_a_wide_one(page: Page, server: Serving, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, server, "#commands/PlaceOrder")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
