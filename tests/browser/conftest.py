"""A real browser, Debian's Chromium by default, on pages that a real server gives it.

Where there is none the tests are skipped, except in CI, where that is a failure. `CHROMIUM` names another binary.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")  # its event loop is in the way of asynchronous tests that come later
def browser() -> Iterator[Browser]:
    binary = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        assert not os.environ.get("CI"), "there is no Chromium; on Debian: apt-get install chromium"
        pytest.skip("there is no Chromium here; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that complains of nothing, and that asks no host but the one that it is from."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    complaints: list[str] = []
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", note)
    yield page
    home = page.url.split("/docs")[0]
    page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((home, "data:"))] == []
