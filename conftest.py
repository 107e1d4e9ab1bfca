"""What every test shares: the examples in README and docs as tests, and how far Hypothesis looks.

What one folder of tests needs stands in its own conftest.
"""

import os

from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tests.documents import close_document, evaluate, open_document

pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language="python", evaluator=evaluate), SkipParser()],
    pattern="*.md",  # of testpaths: README.md, and all of docs
    setup=open_document,
    teardown=close_document,
).pytest()

# A slow machine is no bug, so no deadline; in a soak, look further.
settings.register_profile("default", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=2_000)
settings.load_profile("soak" if os.environ.get("SOAK") else "default")
