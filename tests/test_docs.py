"""What is public is documented, and what the documents point to is there."""

import re
import sys
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

import diptych
import diptych.http
import diptych.testing
from diptych import ContextError, DiptychError, Rejected
from diptych.http import problems, refusals
from tests.app.shop import shop

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

ERRORS = [
    value
    for name in diptych.__all__
    if isinstance(value := getattr(diptych, name), type) and issubclass(value, DiptychError)
]

REFUSALS = [
    value
    for value in vars(refusals).values()
    if isinstance(value, type) and value.__module__ == refusals.__name__ and issubclass(value, DiptychError)
]


def read(page: Path) -> str:
    return page.read_text("utf-8")


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_reference_has_a_paragraph_on_every_public_name_and_on_nothing_else() -> None:
    sections = re.findall(r"^### (.+)\n\n(\S.*)$", read(DOCS / "reference.md"), re.MULTILINE)
    described = {heading.replace("\\", "") for heading, _ in sections}

    assert described == {*diptych.__all__, *diptych.http.__all__, *diptych.testing.__all__}
    assert len(sections) == len(described)


def test_every_error_class_of_the_tree_is_public() -> None:
    def below(error: type[DiptychError]) -> set[type[DiptychError]]:
        return {error}.union(*(below(kind) for kind in error.__subclasses__()))

    assert {kind for kind in below(DiptychError) if kind.__module__ == "diptych.errors"} == set(ERRORS)


@pytest.mark.parametrize("error", [error for error in ERRORS if error is not DiptychError])
def test_every_error_is_documented_with_its_code_and_status(error: type[DiptychError]) -> None:
    code = "your own" if error is Rejected else f"`{error.code}`"

    row = f"| `{error.__name__}` | {code} | {error.status} | "
    assert row in read(DOCS / "guide" / "errors.md")


@pytest.mark.parametrize("error", REFUSALS)
def test_every_refusal_of_the_gateway_is_documented_with_its_code_and_status(error: type[DiptychError]) -> None:
    assert f"| `{error.code}` | {error.status} | " in read(DOCS / "guide" / "errors.md")


def test_every_kind_of_problem_is_documented_and_every_refusal_is_a_kind() -> None:
    page = read(DOCS / "guide" / "errors.md")

    assert [kind for kind in problems.TITLES if f"`{kind}`" not in page] == []
    assert {error.code for error in REFUSALS} <= set(problems.TITLES)


def test_every_bound_of_the_gateway_is_in_the_reference() -> None:
    described = read(DOCS / "reference.md").partition("### GatewaySettings\n\n")[2].partition("\n\n")[0]

    assert [bound for bound in diptych.http.GatewaySettings.__struct_fields__ if f"`{bound}`" not in described] == []


async def test_every_figure_of_the_gateway_is_in_the_guide_to_monitoring_and_no_other() -> None:
    gateway = diptych.http.Gateway(shop, "memory://")
    async with gateway.lifespan(), AsyncClient(transport=ASGITransport(gateway), base_url="http://shop") as client:
        shown = (await client.get("/metrics")).text
    figures = {
        f"{name}_total" if kind == "counter" else name
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", shown, re.MULTILINE)
    }

    assert figures == set(re.findall(r"^\| `(\w+)` \|", read(DOCS / "guide" / "monitoring.md"), re.MULTILINE))


def test_the_tree_that_the_code_draws_has_every_error_and_its_status() -> None:
    drawn = str(sys.modules["diptych.errors"].__doc__)

    for error in set(ERRORS) - {DiptychError}:
        status = "–" if error is ContextError else str(error.status)
        assert re.search(rf"── {error.__name__} +{status} ", drawn), error.__name__


def test_every_page_is_named_in_the_index() -> None:
    index = read(DOCS / "index.md")
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "adr"} - {"index.md"}

    assert {page for page in pages if f"]({page})" not in index} == set()


def test_every_decision_is_in_the_list_of_decisions_and_has_its_form() -> None:
    records = sorted((DOCS / "adr").glob("[0-9]*.md"))
    listed = read(DOCS / "adr" / "README.md")

    assert len({record.name[:4] for record in records}) == len(records)
    for record in records:
        number = int(record.name.partition("-")[0])
        title, text = re.match(r"# (\d+\. .+)\n", read(record)), read(record)
        assert record.name.startswith(f"{number:04}-")
        assert title is not None
        assert title[1].startswith(f"{number}. ")
        assert f"| [{number}]({record.name}) | {title[1].partition('. ')[2]} |" in listed
        assert re.search(r"^Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    for target, fragment in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if "://" in target:
            continue
        goal = page if not target else page.parent / target
        assert goal.exists(), target
        if fragment:
            assert fragment in [anchor(heading) for heading in re.findall(r"^#+ (.+)$", read(goal), re.MULTILINE)]
