"""Runs the Python blocks of a document, one after the other, as the cells of one notebook.

All blocks of a document share one module, one event loop and one empty working directory, and `await` may stand at top
level. A block is left out with `<!-- skip: next -->` before it.
"""

import ast
import asyncio
import inspect
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sybil import Example

NAME = "document"
"""The module's name, as classes defined in a document have it in `__module__`."""


@dataclass(frozen=True, slots=True)
class Notebook:
    module: ModuleType
    runner: asyncio.Runner
    folder: tempfile.TemporaryDirectory[str]
    back: Path

    def run(self, source: str, path: str, line: int) -> None:
        """Run `source`, whose first line is line number `line` of `path`."""
        code = compile("\n" * (line - 1) + source, path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            self.runner.run(eval(code, self.module.__dict__))
        else:
            exec(code, self.module.__dict__)


def open_document(namespace: dict[str, Any]) -> None:
    # A real module: annotations are looked up in sys.modules under the __module__ of a class.
    module = sys.modules[NAME] = ModuleType(NAME)
    notebook = Notebook(module, asyncio.Runner(), tempfile.TemporaryDirectory(prefix="diptych-"), Path.cwd())
    os.chdir(notebook.folder.name)
    namespace["notebook"] = notebook


def close_document(namespace: dict[str, Any]) -> None:
    notebook: Notebook = namespace.pop("notebook")
    notebook.runner.close()
    os.chdir(notebook.back)
    notebook.folder.cleanup()
    del sys.modules[NAME]


def evaluate(example: Example) -> None:
    notebook: Notebook = example.namespace["notebook"]
    notebook.run(example.parsed, example.path, example.line + example.parsed.line_offset + 1)
