"""The documentation site builds without a warning, holds every page, and asks no other server for anything."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SETTINGS = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link that leads nowhere ends the build."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


class Loaded(HTMLParser):
    """What a browser loads for a page, besides the page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"src", "srcset"} if tag != "link" else {"href"}
        self.urls += [value for name, value in attrs if name in wanted and value]


def pages_in(nav: Any) -> Iterator[str]:
    for entry in nav:
        for place in entry.values():
            if isinstance(place, str):
                yield place
            else:
                yield from pages_in(place)


def test_the_navigation_has_every_page_once_and_the_list_of_decisions_for_them_all() -> None:
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if not page.name[0].isdigit()]

    assert sorted(pages_in(SETTINGS["nav"])) == sorted(pages)


def test_every_page_is_built(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        name = "index.html" if page.name == "README.md" else f"{page.stem}.html"
        assert (site / page.relative_to(DOCS).with_name(name)).exists()


def test_a_page_shows_tables_code_and_headings(site: Path) -> None:
    text = (site / "guide" / "errors.html").read_text("utf-8")

    for part in ("<table>", "highlight", '<h2 id="over-http">'):
        assert part in text


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text("utf-8"))
        assert loaded.urls
        assert [url for url in loaded.urls if re.match(r"(https?:)?//", url)] == [], page


def test_no_style_loads_anything_from_another_server(site: Path) -> None:
    styles = list(site.rglob("*.css"))

    assert styles
    for style in styles:
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", style.read_text("utf-8")), style
