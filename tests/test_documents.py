import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from sybil import Sybil
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tests.documents import NAME, close_document, evaluate, open_document

SYBIL = Sybil(parsers=[CodeBlockParser(language="python", evaluator=evaluate), SkipParser()], pattern="*.md")


class Page:
    """A document of the given Markdown, opened, and closed again at the end of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document: Document | None = None

    def run(self, markdown: str) -> None:
        self.path.write_text(dedent(markdown))
        self.document = SYBIL.parse(self.path)
        open_document(self.document.namespace)
        for example in self.document.examples():
            example.evaluate()

    def close(self) -> None:
        if self.document:
            close_document(self.document.namespace)
            self.document = None


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    page = Page(tmp_path / "page.md")
    yield page
    page.close()


def test_a_block_sees_what_the_blocks_before_it_defined(page: Page) -> None:
    page.run("""
        ```python
        x = 1
        ```
        then
        ```python
        assert x + 1 == 2
        ```
    """)


def test_await_stands_at_top_level_and_the_loop_lives_on_in_the_next_block(page: Page) -> None:
    page.run("""
        ```python
        import asyncio

        async def later(value):
            await asyncio.sleep(0)
            return value

        task = asyncio.create_task(later(42))
        assert await later(1) == 1
        ```
        ```python
        async with asyncio.timeout(1):
            assert await task == 42
        ```
    """)


def test_a_failing_block_fails_at_its_line_of_the_document(page: Page) -> None:
    with pytest.raises(AssertionError) as failure:
        page.run("""\
            # Title

            ```python
            x = 1
            assert x == 2
            ```
        """)

    entry = failure.traceback[-1]
    assert (Path(entry.path).name, entry.lineno + 1) == ("page.md", 5)


def test_annotations_in_a_document_can_be_read_back(page: Page) -> None:
    page.run("""
        ```python
        import typing

        class Money: ...

        class Line:
            price: "Money"

        assert typing.get_type_hints(Line) == {"price": Money}
        ```
    """)


def test_a_block_can_be_left_out(page: Page) -> None:
    page.run("""
        <!-- skip: next -->
        ```python
        raise AssertionError
        ```
    """)


def test_a_document_leaves_nothing_behind(page: Page) -> None:
    before = Path.cwd()
    page.run("""
        ```python
        from pathlib import Path
        Path("made.txt").write_text("here")
        ```
    """)
    folder = Path.cwd()
    assert (folder / "made.txt").exists()

    page.close()

    assert Path.cwd() == before
    assert not folder.exists()
    assert NAME not in sys.modules
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
